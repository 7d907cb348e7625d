"""A plan as JSON."""

import math
from typing import Any

from altiplano.planning.consistency.practice import published
from altiplano.planning.cost import emissions_kg, grids, storage
from altiplano.planning.memory import capacity
from altiplano.planning.plan import Plan
from altiplano.planning.step_time.sensitivity import sensitivities
from altiplano.planning.step_time.step_time import throughput


def describe(plan: Plan) -> dict[str, Any]:
    """The plan as JSON; keys are documented in docs/reference/json-output.md."""
    rate = throughput(plan.case, plan.chip, plan.seconds)
    error = plan.uncertainty
    parallelism = plan.case.parallelism
    permanent = math.ceil(plan.steps / plan.interval_steps)
    no_failures = math.isinf(plan.reliability.failure_seconds)
    memory_steps, memory_ettr = (plan.steps, plan.best_ettr) if no_failures else plan.tiered
    model, batch = plan.case.shape, plan.recipe.batch
    return {
        "recipe": plan.recipe.name,
        "cluster": {"name": plan.cluster.name, "devices": plan.devices, "chip": plan.chip.name},
        "stack": {"name": plan.stack.name, "description": plan.stack.description, "precision": plan.case.precision},
        "layout": {
            "text": str(parallelism),
            **vars(parallelism),
            "devices": parallelism.devices,
            "micro_batches": plan.case.micro_batches,
            "ties": [str(choice.case.parallelism) for choice in plan.found.ties[:12]] if plan.found else [],
            "published": plan.found.best.published if plan.found else "",
            "tried": plan.found.tried if plan.found else 1,
        },
        "memory": {
            "fits": plan.fits,
            "capacity": capacity(plan.chip),
            "fullest_stage": plan.fullest.rank,
            "total": plan.fullest.total,
            "stages": [{**one.parts, "total": one.total} for one in plan.memory],
        },
        "step_time": {
            "seconds": plan.seconds,
            "low": plan.seconds * (1 - error),
            "high": plan.seconds * (1 + error),
            "parts": plan.step.parts,
            **rate,
            "compared_runs": plan.compared,
            "steps": plan.steps,
            "a_tenth_less": {what: change / 2 for what, change in sensitivities(plan.case, plan.chip, plan.stack)},
        },
        "goodput": {
            "failure_seconds": _finite(plan.reliability.failure_seconds),
            "failures": plan.failures,
            "interval_steps": plan.interval_steps,
            "ettr": plan.ettr,
            "best_interval_steps": plan.best_steps,
            "best_ettr": plan.best_ettr,
            "best_ettr_simulated": plan.simulated_ettr,
            "tiered_interval_steps": memory_steps,
            "tiered_ettr": memory_ettr,
            "save_seconds": plan.reliability.save_seconds,
            "restart_seconds": plan.reliability.restart_seconds,
            "write_seconds": plan.reliability.write_seconds,
        },
        "cost": {
            "without_failures": plan.bill().json(),
            "as_written": plan.bill(plan.ettr).json(),
            "best_interval": plan.bill(plan.best_ettr).json(),
            "kg_site_by_country": {
                code: emissions_kg(plan.bill(plan.ettr).kwh_site, where) for code, where in grids().items()
            },
        },
        "practice": None if (run := published(plan)) is None else vars(run),
        "storage": storage(
            model.parameters, batch.total_tokens, model.vocab_size, permanent, plan.recipe.checkpoint.keep
        ),
    }


def _finite(value: float) -> float | None:
    return None if math.isinf(value) else value
