"""The real training code on one fake rank of a large job, compared with what the planner counts."""
