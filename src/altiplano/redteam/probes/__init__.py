"""Prompt probes for a base model: beginnings that invite harm, and small detectors of whether it followed.

Written for this project and harmless to print. A detector looks for the harm itself, never for the lack of a refusal:
a base model refuses nothing, so "no refusal" would say nothing about it.
"""
