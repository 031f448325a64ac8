"""A step captured once and replayed: a pure function of tensors, its state and its inputs → the state after many steps.

On a GPU the kernels of a step take less time than Python takes to launch them, unless the batch is very large. A CUDA
graph launches all of them at once. Its gain has not been measured here: `make gpu-check` reports it for a card.
"""

import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

State = TypeVar("State")
Inputs = TypeVar("Inputs")
Step = Callable[[State, Inputs], State]
Replay = Callable[[], object]
Capture = Callable[[Callable[[], None]], Replay]

MOST = 4  # graphs kept: the octaves of a recipe, and one more
_LEAST_TIMES = 4  # repetitions that pay for a capture
_CAPTURE_CODES = range(900, 909)  # cudaErrorStreamCapture… of the CUDA runtime


class CaptureRefusedError(Exception):
    """A step cannot be captured, though it runs and the device is sound; the message says why."""


@dataclass(frozen=True)
class _Graph:
    """A captured step, and the tensors that each replay reads and writes."""

    state: Any
    inputs: Any
    replay: Replay


class CudaGraphs:
    """Keeps captured steps, by the form of their state and inputs."""

    def __init__(self, capture: Capture) -> None:
        """No step is captured yet.

        Args:
            capture: makes a replay of a function, such as `cuda_capture`; raises `CaptureRefusedError` where it cannot.
        """
        self._capture = capture
        self._graphs: OrderedDict[Hashable, _Graph | None] = OrderedDict()  # None: must not be replayed

    def repeat(self, step: Step[State, Inputs], state: State, inputs: Inputs, times: int, key: Hashable) -> State:
        """Apply a step so many times, as `for _ in range(times): state = step(state, inputs)` does, and to equal bits.

        The first step of a form is run by itself and by its graph; if the results differ, no step of that form is
        replayed.

        Args:
            step: pure; no step of it may wait for the host.
            state: dataclass of tensors.
            inputs: dataclasses and tuples of tensors and of what can be compared.
            times: how often.
            key: whatever else the step depends on.
        """
        graph = None if times < _LEAST_TIMES else self._graph_of(step, state, inputs, key)
        if graph is None:
            for _ in range(times):
                state = step(state, inputs)
            return state
        _put(graph.inputs, inputs)
        _put(graph.state, state)
        for _ in range(times):
            graph.replay()
        done: State = _copy(graph.state)
        return done

    def clear(self) -> bool:
        """Forget all graphs and give their memory back; returns whether there were any."""
        had_any = any(self._graphs.values())
        self._graphs.clear()
        return had_any

    def _graph_of(self, step: Step[State, Inputs], state: State, inputs: Inputs, key: Hashable) -> _Graph | None:
        """The graph of a step, captured if there is none of its form; None: it must not be replayed."""
        form = (key, _form(state), _form(inputs))
        if form not in self._graphs:
            while len(self._graphs) >= MOST:
                self._graphs.popitem(last=False)
            self._graphs[form] = self._capture_step(step, state, inputs)
        self._graphs.move_to_end(form)
        return self._graphs[form]

    def _capture_step(self, step: Step[State, Inputs], state: State, inputs: Inputs) -> _Graph | None:
        kept_state, kept_inputs = _copy(state), _copy(inputs)
        expected = step(state, inputs)
        try:
            replay = self._capture(lambda: _put(kept_state, step(kept_state, kept_inputs)))
        except CaptureRefusedError as error:
            warnings.warn(f"a step cannot be captured as a CUDA graph, and runs slower: {error}", stacklevel=2)
            return None
        _put(kept_state, state)
        replay()
        if not all(map(_same, _tensors(kept_state), _tensors(expected))):
            warnings.warn("the CUDA graph of a step gives another result than the step, and is not used", stacklevel=2)
            return None
        return _Graph(kept_state, kept_inputs, replay)


def cuda_capture(device: torch.device) -> Capture:
    """Captures CUDA graphs on a device; all of them share their memory, since one is replayed at a time."""
    pool = torch.cuda.graph_pool_handle()
    side = torch.cuda.Stream(device)  # one for all: cuBLAS keeps memory of its own for each stream that it sees

    def capture(body: Callable[[], None]) -> Replay:
        nonlocal pool
        graph, errors = torch.cuda.CUDAGraph(), list[RuntimeError]()
        with torch.cuda.device(device):
            current = torch.cuda.current_stream()
            side.wait_stream(current)
            with torch.cuda.stream(side):  # libraries set themselves up on first use, which a capture must not see
                body()
            current.wait_stream(side)
            try:
                with torch.cuda.graph(graph, pool=pool, stream=side):
                    try:
                        body()
                    except RuntimeError as error:  # which makes the end of the capture fail as well
                        errors.append(error)
                        raise
            except RuntimeError as error:
                _leave_capture(current, pool)
                pool = torch.cuda.graph_pool_handle()  # torch counts the failed capture as a user of the old one
                raise reason_of(errors[0] if errors else error) from None
        return graph.replay

    return capture


def _leave_capture(current: torch.cuda.Stream, pool: Any) -> None:
    """Put a device in order after a capture that could not end; raises what is wrong with it, if anything is."""
    torch.cuda.set_stream(current)  # torch leaves its own stream current
    torch.cuda.synchronize()
    with suppress(RuntimeError, AttributeError):  # before torch 2.12 its allocator stays open (pytorch#180395)
        torch._C._cuda_endAllocateToPool(torch.cuda.current_device(), pool)


def reason_of(error: RuntimeError) -> Exception:
    """Why a capture failed.

    Args:
        error: what the step raised while it was captured, or else what the end of the capture raised.

    Returns:
        `CaptureRefusedError` if capture itself refused the step. Otherwise the error, which must not be survived: out
        of memory, or a CUDA error after which the device gives wrong results.
    """
    code = getattr(error, "error_code", None)  # of torch.AcceleratorError
    is_refusal = "captur" in str(error) if code is None else code in _CAPTURE_CODES
    if is_refusal and not isinstance(error, torch.OutOfMemoryError):
        return CaptureRefusedError(str(error).partition("\n")[0])
    return error


def _leaves(value: Any) -> Iterator[Any]:
    """Tensors and other values in nested dataclasses and tuples, in order."""
    if is_dataclass(value):
        value = tuple(getattr(value, field.name) for field in fields(value))
    if isinstance(value, tuple):
        for child in value:
            yield from _leaves(child)
    else:
        yield value


def _tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in _leaves(value) if isinstance(leaf, Tensor)]


def _form(value: Any) -> Hashable:
    """Everything of a value but the numbers in its tensors."""
    return tuple(
        (leaf.shape, leaf.stride(), leaf.dtype, leaf.device) if isinstance(leaf, Tensor) else leaf
        for leaf in _leaves(value)
    )


def _copy(value: Any) -> Any:
    """The value with tensors of its own."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, tuple):
        return tuple(map(_copy, value))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: _copy(getattr(value, field.name)) for field in fields(value)})
    return value


def _put(kept: Any, value: Any) -> None:
    """Put the numbers of a value's tensors into those of another of the same form."""
    for target, source in zip(_tensors(kept), _tensors(value), strict=True):
        target.copy_(source)


def _same(one: Tensor, other: Tensor) -> bool:
    """Equal number for number; what is not a number equals itself."""
    return torch.equal(one, other) or bool(((one == other) | (one.isnan() & other.isnan())).all())
