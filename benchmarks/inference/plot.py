"""Plot the results."""

from pathlib import Path

import matplotlib as mpl

from benchmarks.inference.results import Results

mpl.use("Agg")

from matplotlib import pyplot as plt


def plot(results: Results, path: Path) -> None:
    """Plot requests per second by connections: one panel per case, one line per server in its best settings."""
    cases = results.cases()
    columns = min(2, len(cases))
    rows = -(-len(cases) // columns)
    figure, panels = plt.subplots(rows, columns, figsize=(6.5 * columns, 4.5 * rows), squeeze=False)
    servers = list(dict.fromkeys(server for case in cases for server, _ in results.servers(case)))
    colours = {server: f"C{number}" for number, server in enumerate(servers)}
    for panel, case in zip(panels.flat, cases, strict=False):
        for server in dict.fromkeys(server for server, _ in results.servers(case)):
            best_by_point = {point: results.best(case, server, point) for point in results.connections()}
            line = {point: best.per_s for point, best in best_by_point.items() if best}
            ours, limit = server == "tidepool", server == "limit"
            style = {"linewidth": 3 if ours else 1.5, "linestyle": "--" if limit else "-", "zorder": 3 if ours else 2}
            panel.plot(line.keys(), line.values(), marker="o", label=server, color=colours[server], **style)
        panel.set(title=case, xlabel="connections", ylabel="requests/s", xscale="log", yscale="log")
        panel.set_xticks(results.connections(), map(str, results.connections()), minor=False)
        panel.minorticks_off()
        panel.grid(alpha=0.3)
        panel.legend(fontsize="small")
    for panel in list(panels.flat)[len(cases) :]:
        panel.remove()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
