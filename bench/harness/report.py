"""The result as Markdown."""
import math


def number(value):
    """Three digits, without an exponent."""
    if value is None:
        return "-"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def _floor(cell, peak):
    """ms below which the cell cannot come: its FLOPs over the peak; and its bytes over the bandwidth."""
    return cell.flops / peak.flops(cell.threads) * 1e3, cell.bytes / peak.bandwidth(cell.threads) * 1e3


def _times(cells, peak, mode):
    names = sorted({n for c in cells for n in list(c.ms) + list(c.refused) if n != "netc"})
    head = ["workload", "batch", "threads", "netc ms", *[f"{n} ms" for n in names], "best peer / netc", "samples/s",
            "of the peak", "FLOP floor ms", "byte floor ms"]
    rows = []
    for c in cells:
        ours, ratio = c.ms.get("netc"), c.ratio()
        flop, byte = _floor(c, peak)
        rows.append([c.workload, str(c.batch), str(c.threads), number(ours), *[number(c.ms.get(n)) for n in names],
                     "-" if ratio is None else f"{ratio:.2f}" + ("" if c.counts() else "*"),
                     number(c.batch / ours * 1e3 if ours else None), f"{100 * flop / ours:.0f} %" if ours else "-",
                     number(flop), number(byte)])
    title = "Inference" if mode == "predict" else "Training steps"
    return [f"## {title}", "", *table(head, rows), ""]


def _memory(cells):
    names = ["netc"] + sorted({n for c in cells for n in c.kib if n != "netc"})
    rows = [[c.workload, c.mode, str(c.batch), str(c.threads), *[number(c.kib[n] / 1024 if n in c.kib else None) for n in names],
             *[number(c.ready_seconds.get(n)) for n in names[1:]]] for c in cells]
    head = ["workload", "what", "batch", "threads", *[f"{n} MiB" for n in names], *[f"{n} ready s" for n in names[1:]]]
    return ["## Memory of the processes, and time until the first result", "", *table(head, rows), ""]


def _programs(programs):
    rows = [[name, f"{p.compile_seconds:.1f}", f"{p.size / 1024:,.0f}", f"{p.info['parameter_bytes'] / 1024:,.0f}",
             str(p.info["kernels"])] for name, p in programs.items() if not p.error]
    return ["## netc's programs", "",
            *table(["workload", "compiled in s", "program KiB", "parameters KiB", "kernels"], rows), ""]


def _summary(cells):
    counted = [c for c in cells if c.counts()]
    if not counted:
        return ["No cell counts.", ""]
    ratios = [c.ratio() for c in counted]
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    worst = min(counted, key=lambda c: c.ratio())
    return [f"{len(counted)} of {len(cells)} cells count. Best peer / netc: geometric mean {mean:.2f}, "
            f"netc is faster in {sum(r > 1 for r in ratios)}; least {worst.ratio():.2f} ({worst.workload}, {worst.mode}, "
            f"batch {worst.batch}, {worst.threads} thread{'s' if worst.threads > 1 else ''}).", ""]


def _notes(cells, skipped):
    lines = [f"- {name}: skipped: {why}" for name, why in skipped.items()]
    seen = {}
    for c in cells:
        for name, why in c.refused.items():
            seen.setdefault((c.workload, c.mode, name, why.splitlines()[0]), []).append(f"b{c.batch} t{c.threads}")
    lines += [f"- {workload}, {mode}, {name} ({', '.join(where)}): {why}" for (workload, mode, name, why), where in seen.items()]
    return ["## What did not run", "", *lines, ""] if lines else []


def markdown(date, machine, versions, disturbance, peak, cells, programs, skipped):
    """The whole page."""
    b = peak.best
    lines = [f"# {date}: netc and its peers", "", f"CPU: {machine}. {versions}.", "",
             f"FMA peak {b['one']:.1f} GFLOP/s of one thread, {b['all']:.1f} of {peak.threads}; memory "
             f"{b['stream_one']:.1f} and {b['stream_all']:.1f} GB/s, measured in this run. "
             f"Other programs kept {disturbance:.2f} CPUs busy meanwhile. How to read this: bench/README.md.", "",
             *_summary(cells)]
    for mode in ("predict", "train"):
        own = [c for c in cells if c.mode == mode]
        lines += _times(own, peak, mode) if own else []
    lines += _memory(cells) + _programs(programs) + _notes(cells, skipped)
    return "\n".join(lines).rstrip() + "\n"
