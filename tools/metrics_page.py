"""Writes the table of metrics in docs/observability.md from the one table of instruments in code."""

from pathlib import Path

from gateway.observe import TABLE, Count, Spread, prometheus_name

PAGE = Path(__file__).resolve().parent.parent / "docs" / "observability.md"
BEGIN = "<!-- metrics: made from the table in code by tools/metrics_page.py -->\n"
END = "<!-- end of metrics -->\n"


def render(page: str) -> str:
    """Gives the page with its table as it should be."""
    lines = ["| metric | kind | label | what |", "| --- | --- | --- | --- |"]
    for name, instrument in TABLE.items():
        kind = "counter" if isinstance(name, Count) else "histogram" if isinstance(name, Spread) else "gauge"
        label = f"`{instrument.label}`" if instrument.label else ""
        lines.append(f"| `{prometheus_name(name)}` | {kind} | {label} | {instrument.help} |")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return before + BEGIN + "\n".join(lines) + "\n" + END + after


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text()))
