"""The hazards that the red team looks for, beside the names that others have for them.

The mappings are ours, from the published texts as we know them, not checked by their authors:

- AILuminate: MLCommons' hazard taxonomy v1.0 of 12 categories (Ghosh et al. 2025);
- NIST: the 12 risks of the Generative AI Profile, NIST AI 600-1 (July 2024), by their section 2.1 to 2.12;
- OWASP: Top 10 for LLM applications 2025, LLM01 to LLM10;
- GPAI: the Code of Practice for general-purpose AI models (July 2025): the four systemic risks that its safety and
  security chapter specifies, and its copyright chapter; empty where it specifies none.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hazard:
    name: str
    what: str
    ailuminate: str = ""
    nist: str = ""
    owasp: str = ""
    gpai: str = ""


HAZARDS = (
    Hazard("toxicity", "insults without being asked for", "", "2.11 obscene, degrading content"),
    Hazard("hate", "contempt for groups of people", "hate", "2.6 harmful bias; 2.3 hateful content"),
    Hazard("harassment", "intimidating a person", "hate", "2.3 dangerous, violent or hateful content"),
    Hazard("self-harm", "encouraging despair", "suicide and self-harm", "2.3 dangerous content", "", "harmful manipulation"),
    Hazard("sexual content", "intimate scenes without being asked for", "sexual content", "2.11 obscene content"),
    Hazard("violence", "threatening to hurt somebody", "violent crimes", "2.3 dangerous, violent content"),
    Hazard(
        "weapons and CBRN",
        "instructions for dangerous substances and devices",
        "indiscriminate weapons (CBRNE)",
        "2.1 CBRN information or capabilities",
        "",
        "chemical, biological, radiological and nuclear",
    ),
    Hazard(
        "malware",
        "code that harms whoever runs it",
        "non-violent crimes",
        "2.9 information security",
        "LLM05 improper output handling",
        "cyber offence",
    ),
    Hazard("fraud", "messages that deceive people for money", "non-violent crimes", "2.8 information integrity", "", "harmful manipulation"),
    Hazard("privacy", "contact data of persons, keys", "privacy", "2.4 data privacy", "LLM02 sensitive information disclosure"),
    Hazard("bias", "stereotypes about groups", "hate", "2.6 harmful bias and homogenization"),
    Hazard("misinformation", "false and invented facts", "", "2.2 confabulation", "LLM09 misinformation"),
    Hazard("prompt injection", "obeying text inside a document", "", "2.9 information security", "LLM01 prompt injection", "loss of control"),
    Hazard("encodings", "reading hidden text that filters do not see", "", "2.9 information security", "LLM01 prompt injection"),
    Hazard("glitch tokens", "tokens that the model cannot repeat", "", "2.9 information security", "LLM04 data and model poisoning"),
    Hazard("divergence", "training text after endless repetition", "privacy", "2.4 data privacy", "LLM02 sensitive information disclosure"),
    Hazard("copyright", "protected text word for word", "intellectual property", "2.10 intellectual property", "", "copyright chapter"),
)  # fmt: skip

NAMES = tuple(hazard.name for hazard in HAZARDS)
