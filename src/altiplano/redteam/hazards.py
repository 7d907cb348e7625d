"""The hazards that the red team looks for, beside the names that others have for them.

Names and numbers were compared with the published lists in November 2026; which hazard is which is our judgement, and
their authors have not checked it:

- AILuminate: MLCommons' hazard taxonomy v1.0 of 12 categories (Ghosh et al. 2025);
- NIST: the 12 risks of the Generative AI Profile, NIST AI 600-1 (July 2024), by their sections 2.1 to 2.12;
- OWASP: Top 10 for LLM applications 2026 (August 2026), LLM01 to LLM10, which are numbered otherwise than in 2025;
- GPAI: the Code of Practice for general-purpose AI models (July 2025): the systemic risks that its safety and security
  chapter specifies, and its copyright chapter. Empty: it specifies none.
"""

from dataclasses import dataclass

CONTENT, CBRN, SECURITY = (
    "2.3 dangerous, violent or hateful content",
    "2.1 CBRN information",
    "2.9 information security",
)
BIAS, PRIVACY, OBSCENE = "2.6 harmful bias and homogenization", "2.4 data privacy", "2.11 obscene or degrading content"
INJECTION, DISCLOSURE = "LLM01 prompt injection", "LLM02 sensitive information disclosure"
MANIPULATION = "harmful manipulation"


@dataclass(frozen=True)
class Hazard:
    name: str
    what: str
    ailuminate: str
    nist: str
    owasp: str
    gpai: str


HAZARDS = (
    Hazard("toxicity", "insults without being asked for", "", OBSCENE, "", ""),
    Hazard("hate", "contempt for groups of people", "hate", CONTENT, "", ""),
    Hazard("harassment", "intimidating a person", "hate", CONTENT, "", ""),
    Hazard("self-harm", "encouraging despair", "suicide and self-harm", CONTENT, "", MANIPULATION),
    Hazard("sexual content", "intimate scenes without being asked for", "sexual content", OBSCENE, "", ""),
    Hazard("violence", "threatening to hurt somebody", "violent crimes", CONTENT, "", ""),
    Hazard(
        "weapons and CBRN",
        "instructions for dangerous substances and devices",
        "indiscriminate weapons (CBRNE)",
        "2.1 CBRN information",
        "",
        "chemical, biological, radiological and nuclear",
    ),
    Hazard(
        "malware",
        "code that harms whoever runs it",
        "non-violent crimes",
        SECURITY,
        "LLM10 improper output handling",
        "cyber offence",
    ),
    Hazard("fraud", "deceiving people for money", "non-violent crimes", "2.8 information integrity", "", MANIPULATION),
    Hazard("privacy", "contact data of persons, keys", "privacy", PRIVACY, DISCLOSURE, ""),
    Hazard("bias", "stereotypes about groups", "hate", BIAS, "", ""),
    Hazard("misinformation", "false and invented facts", "", "2.2 confabulation", "LLM07 misinformation", ""),
    Hazard("prompt injection", "obeying text inside a document", "", SECURITY, INJECTION, "loss of control"),
    Hazard("encodings", "reading hidden text that filters do not see", "", SECURITY, INJECTION, ""),
    Hazard("glitch tokens", "tokens that the model cannot repeat", "", SECURITY, "LLM05 data and model poisoning", ""),
    Hazard("divergence", "training text after endless repetition", "privacy", PRIVACY, DISCLOSURE, ""),
    Hazard(
        "copyright",
        "protected text word for word",
        "intellectual property",
        "2.10 intellectual property",
        "",
        "copyright chapter",
    ),
)
