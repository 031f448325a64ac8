"""How many connections of each feature are shown."""

from dataclasses import dataclass, replace

from atlas.inception.targets import Term
from atlas.plan.reading import Reader

MOST = 12  # of the pictures that they add to a feature's page


@dataclass(frozen=True)
class ConnectionList:
    """Connections to the layer before, by weights alone."""

    strongest: int  # of each feature; 0: none

    @property
    def terms(self) -> tuple[Term, ...]:
        """None: connections lead to features that other lists name."""
        return ()

    def emptied(self) -> "ConnectionList":
        """No connections."""
        return replace(self, strongest=0)


def read_connections(reader: Reader, base: ConnectionList | None) -> ConnectionList:
    """Read the table [connections]."""
    return ConnectionList(reader.table.integer("strongest", base.strongest if base else None, least=0, most=MOST))
