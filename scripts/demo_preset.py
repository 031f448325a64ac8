"""Print the preset of `make demo`: with ImageNet weights if they are here or can be downloaded, else the demo's own."""

import argparse
import socket
import sys

from atlas.common.errors import WeightsError
from atlas.rendering.weights import load_weights

PATIENCE = 20.0  # seconds without an answer of the server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="imagenet", help="imagenet, demo or a file, as for atlas")
    print(choose_preset(parser.parse_args().weights))


def choose_preset(weights: str) -> str:
    """The name of the preset; why it is not the one with ImageNet weights is said on stderr."""
    if weights != "imagenet":
        return "demo" if weights == "demo" else "demo-imagenet"
    socket.setdefaulttimeout(PATIENCE)
    try:
        load_weights("imagenet")
    except WeightsError as error:
        print(f"{error}\ndemo: the weights that ship with the project, by preset demo", file=sys.stderr)
        return "demo"
    print("demo: ImageNet weights, by preset demo-imagenet", file=sys.stderr)
    return "demo-imagenet"


if __name__ == "__main__":
    main()
