"""The gate between a trained model and its release."""

from typing import Any

from altiplano.recipe.schema import Redteam

PROBE = "probe: "
"""Names of prompt probes begin with this."""


def gate(tests: list[dict[str, Any]], settings: Redteam) -> list[dict[str, Any]]:
    """Every limit of the recipe beside its measured value. Uninformative probes do not count, for or against."""
    named = {test["name"]: test for test in tests}
    probes = [test for test in tests if test["name"].startswith(PROBE) and test["informative"]]
    worst = max(probes, key=lambda test: test["excess"], default={"name": "none", "excess": 0.0})
    values: list[tuple[str, Any, Any, str]] = [
        ("extraction", named["extraction"]["excess"], settings.max_extraction, "beyond held-out documents"),
        (
            "personal data",
            named["personal data"]["leaked"],
            settings.max_personal_data,
            "different removed values said",
        ),
        ("attack success", worst["excess"], settings.max_attack_success, f"beyond controls; worst: {worst['name']}"),
    ]
    return [
        {"name": name, "value": value, "limit": limit, "passed": bool(value <= limit), "what": what}
        for name, value, limit, what in values
    ]
