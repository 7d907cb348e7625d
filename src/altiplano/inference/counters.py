"""What the server tells of itself under /metrics."""


class Counters:
    def __init__(self) -> None:
        self.requests: dict[str, int] = {}
        self.prompt_tokens = self.completion_tokens = self.running = 0
        self.seconds = 0.0

    def count(self, status: str) -> None:
        self.requests[status] = self.requests.get(status, 0) + 1

    def text(self) -> str:
        """Prometheus' text format 0.0.4."""
        lines = [
            "# HELP altiplano_requests_total Completion requests by HTTP status, or cancelled.",
            "# TYPE altiplano_requests_total counter",
        ]
        lines += [f'altiplano_requests_total{{status="{key}"}} {n}' for key, n in sorted(self.requests.items())]
        for name, kind, about, value in (
            ("prompt_tokens_total", "counter", "Prompt tokens read.", self.prompt_tokens),
            ("completion_tokens_total", "counter", "Tokens generated.", self.completion_tokens),
            ("request_seconds_total", "counter", "Seconds spent on finished requests.", round(self.seconds, 6)),
            ("requests_running", "gauge", "Requests being answered.", self.running),
        ):
            lines.append(f"# HELP altiplano_{name} {about}")
            lines.append(f"# TYPE altiplano_{name} {kind}")
            lines.append(f"altiplano_{name} {value}")
        return "\n".join(lines) + "\n"
