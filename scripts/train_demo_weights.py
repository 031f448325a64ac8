"""Train the demo weights: InceptionV3 on pictures that the project draws itself, and nothing else.

An endless stream of labelled pictures is drawn while the network learns, small at first and larger at the end. A
checkpoint is written every few minutes, and the same command goes on from it. What comes out is quantised to 8 bits a
weight and written to atlas/demo/weights/demo.safetensors. `--measure` prints its accuracy on fresh pictures, for the
card.
"""

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torchvision.models import Inception3, inception_v3

from atlas.demo.pictures import CLASSES, draw
from atlas.rendering.weights import load_demo_file
from quantise import quantise, write_quantised

ROOT = Path(__file__).resolve().parent.parent
TEST_SEED = 10**9  # training draws with the seeds below it
HELD_OUT = 2_000
START_GREY = 0.55  # the mean of the noise from which renderings start
BODY = [
    "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "maxpool2",
    "Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e", "Mixed_7a",
    "Mixed_7b", "Mixed_7c",
]  # fmt: skip


SIDES = {"Mixed_5d": 288, "Mixed_6e": 768}  # layers with a side head, and their features


@dataclass(frozen=True)
class Schedule:
    """How long, at which sizes and how fast the network learns."""

    stages: tuple[tuple[int, int], ...]  # (pixels a side, steps)
    batch_size: int = 32
    peak_rate: float = 1.5e-3  # of AdamW, after the warm-up; then a cosine down to nothing
    warm_up: int = 300  # steps
    decay: float = 0.02
    smoothing: float = 0.05  # of the labels
    side_weight: float = 0.3  # of the loss of the side heads, which teach the middle of the network directly

    @property
    def steps(self) -> int:
        return sum(steps for _, steps in self.stages)

    def size_at(self, step: int) -> int:
        for size, steps in self.stages:
            if step < steps:
                return size
            step -= steps
        return self.stages[-1][0]

    def rate_at(self, step: int) -> float:
        if step < self.warm_up:
            return self.peak_rate * (step + 1) / self.warm_up
        along = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return self.peak_rate * (0.5 + 0.5 * math.cos(math.pi * along)) + 1e-6


class Student(nn.Module):
    """torchvision's network with side heads on pooled maps; its own auxiliary head needs larger pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.body: Inception3 = inception_v3(
            weights=None, num_classes=len(CLASSES), aux_logits=False, transform_input=False, init_weights=False
        )
        for module in self.body.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        self.sides = nn.ModuleDict({name: nn.Linear(width, len(CLASSES)) for name, width in SIDES.items()})

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Logits of the side heads and, last, of the network."""
        logits = []
        for name in BODY:
            pictures = getattr(self.body, name)(pictures)
            if name in SIDES:
                logits.append(self.sides[name](pictures.mean((2, 3))))
        return [*logits, self.body.fc(pictures.mean((2, 3)))]


def train(
    student: Student, schedule: Schedule, seed: int, device: torch.device, checkpoint: Path, every: float
) -> None:
    optimiser = torch.optim.AdamW(student.parameters(), lr=schedule.peak_rate, weight_decay=schedule.decay, fused=True)
    generator = torch.Generator().manual_seed(seed)
    first = resume(checkpoint, student, optimiser, generator)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    saved = time.monotonic()
    loss_mean, accuracy = math.log(len(CLASSES)), 0.0
    with Progress(*columns) as progress:
        task = progress.add_task("training", total=schedule.steps, completed=first)
        for step in range(first, schedule.steps):
            for group in optimiser.param_groups:
                group["lr"] = schedule.rate_at(step)
            pictures, labels = draw(schedule.batch_size, schedule.size_at(step), generator, group=4)
            pictures = fade(pictures, generator)
            loss, right = learn(student, optimiser, schedule, pictures.to(device), labels.to(device))
            loss_mean, accuracy = 0.99 * loss_mean + 0.01 * loss, 0.99 * accuracy + 0.01 * right
            words = f"{schedule.size_at(step)} px, loss {loss_mean:.2f}, accuracy {accuracy:.0%}"
            progress.update(task, advance=1, description=words)
            if step % 200 == 0 and not progress.console.is_terminal:
                progress.console.print(f"step {step} of {schedule.steps}: {words}", highlight=False)
            if time.monotonic() - saved > every or step + 1 == schedule.steps:
                save(checkpoint, student, optimiser, generator, step + 1)
                saved = time.monotonic()


def fade(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Make a third of the pictures faint, down to a tenth of their contrast.

    Renderings start from grey noise: what a network ignores there has no gradient, and stays grey.
    """
    n = len(pictures)
    is_faint = torch.rand(n, 1, 1, 1, generator=generator) < 1 / 3
    contrast = torch.where(is_faint, 0.1 + 0.6 * torch.rand(n, 1, 1, 1, generator=generator), 1.0)
    return START_GREY + (pictures - START_GREY) * contrast


def learn(
    student: Student, optimiser: torch.optim.Optimizer, schedule: Schedule, pictures: Tensor, labels: Tensor
) -> tuple[float, float]:
    """One step; returns its loss and the share of pictures that the network named rightly."""
    student.train()
    pictures = pictures.contiguous(memory_format=torch.channels_last)
    with torch.autocast(pictures.device.type, torch.bfloat16):
        *sides, logits = student(pictures)
    losses = [F.cross_entropy(one.float(), labels, label_smoothing=schedule.smoothing) for one in (*sides, logits)]
    loss = losses[-1] + schedule.side_weight * sum(losses[:-1])
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(student.parameters(), 5.0)
    optimiser.step()
    return losses[-1].item(), (logits.argmax(1) == labels).float().mean().item()


def save(file: Path, student: Student, optimiser: torch.optim.Optimizer, generator: torch.Generator, step: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    half_written = file.with_suffix(".tmp")
    torch.save(
        {
            "student": student.state_dict(),
            "optimiser": optimiser.state_dict(),
            "generator": generator.get_state(),
            "step": step,
        },
        half_written,
    )
    half_written.replace(file)


def resume(file: Path, student: Student, optimiser: torch.optim.Optimizer, generator: torch.Generator) -> int:
    """The step to go on from."""
    if not file.exists():
        return 0
    state = torch.load(file, weights_only=True)
    student.load_state_dict(state["student"])
    optimiser.load_state_dict(state["optimiser"])
    generator.set_state(state["generator"])
    print(f"going on from {file} at step {state['step']}")
    return int(state["step"])


@torch.inference_mode()
def measure(network: Inception3, size: int, device: torch.device, count: int = HELD_OUT) -> float:
    """Top-1 accuracy on fresh pictures, drawn with a seed that training never used."""
    network.eval()
    generator = torch.Generator().manual_seed(TEST_SEED)
    right = 0
    for _ in range(count // 40):
        pictures, labels = draw(40, size, generator, group=4)
        right += int((network(pictures.to(device)).argmax(1).cpu() == labels).sum())
    return right / (count // 40 * 40)


def shipped() -> Inception3:
    """The network of the file that ships, as a person gets it: quantised."""
    network = inception_v3(weights=None, num_classes=len(CLASSES), aux_logits=False, init_weights=False)
    network.transform_input = False
    network.load_state_dict(load_demo_file(), strict=False)
    return network


def print_accuracy(network: Inception3, device: torch.device) -> None:
    for size in (128, 160):
        accuracy = measure(network.to(device), size, device)
        print(f"| {size} px | {100 * accuracy:.1f} % |")


def parse_stages(text: str) -> tuple[tuple[int, int], ...]:
    """`80:3000,112:2000` → sizes and steps."""
    return tuple((int(size), int(steps)) for size, _, steps in (part.partition(":") for part in text.split(",")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", type=parse_stages, default="80:3000,112:2400,128:2700", help="SIZE:STEPS,…")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rate", type=float, default=1.5e-3, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=2015)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--checkpoint", type=Path, default=ROOT / "build" / "demo-weights.pt")
    parser.add_argument("--every", type=float, default=300.0, help="seconds between checkpoints")
    parser.add_argument("--out", type=Path, default=ROOT / "atlas" / "demo" / "weights" / "demo.safetensors")
    parser.add_argument("--measure", action="store_true", help="only measure the file that ships")
    options = parser.parse_args()
    device = torch.device(options.device)
    if options.measure:
        print_accuracy(shipped(), device)
        return
    torch.manual_seed(options.seed)
    student = Student().to(device).to(memory_format=torch.channels_last)
    schedule = Schedule(options.stages, options.batch_size, options.rate)
    print(f"{schedule.steps:,} steps of {schedule.batch_size} pictures in {len(CLASSES)} classes on {device}")
    train(student, schedule, options.seed, device, options.checkpoint, options.every)
    tensors = quantise({name: t.cpu() for name, t in student.body.state_dict().items()})
    digest = write_quantised(options.out, tensors)
    print(f"{options.out}: {options.out.stat().st_size:,} bytes, SHA-256 {digest}")
    print("copy the hash into the card beside it and to DEMO_SHA256 in atlas/store/records.py,")
    print("then: python scripts/train_demo_weights.py --measure")


if __name__ == "__main__":
    main()
