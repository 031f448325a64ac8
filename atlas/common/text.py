"""Numbers and quantities as people read them."""


def format_flops(flops: float) -> str:
    """Work in PFLOP or, where that would be small, TFLOP."""
    return f"{flops / 1e15:,.2f} PFLOP" if flops >= 1e14 else f"{flops / 1e12:,.2f} TFLOP"


def format_bytes(count: float) -> str:
    """A size in GB, MB or KB."""
    if count >= 1e9:
        return f"{count / 1e9:,.2f} GB"
    if count >= 1e6:
        return f"{count / 1e6:,.1f} MB"
    return f"{count / 1e3:,.0f} KB"


def format_seconds(seconds: float) -> str:
    """A duration in seconds, minutes, hours or days."""
    if seconds < 90:
        return count_of(max(1, round(seconds)), "second")
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def count_of(number: int, thing: str) -> str:
    """A number and a thing, such as "1 layer", "1,024 features" and "55 classes"."""
    return f"{number:,} {thing if number == 1 else plural(thing)}"


def plural(thing: str) -> str:
    """Several of a thing: "features", "classes"."""
    return f"{thing}es" if thing.endswith("s") else f"{thing}s"
