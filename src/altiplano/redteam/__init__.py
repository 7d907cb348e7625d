"""Attacks on a trained model, each beside controls that know nothing: memorisation, personal data, prompt probes."""
