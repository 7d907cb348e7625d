"""Prompt probes for a base model: beginnings that invite harm, and detectors of whether it followed.

Written for this project and harmless to print: prompts name a hazard and never its means, and detectors look for
stand-ins (invented substances and peoples, mild insults, inert payloads).
"""
