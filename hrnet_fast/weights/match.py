"""Which tensor of a checkpoint goes where in a model, or the sentence that says why it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from .anatomy import Anatomy, anatomy_of, constructor, foreign_words
from .convert import translate
from .errors import CheckpointError
from .layouts import Layout, detect_layout, is_backbone, stranger_reason

COUNTER = "num_batches_tracked"
_ANY_HRNET = "stage2.0.branches.0.0.conv1.weight"


@dataclass
class Match:
    """pairs: model key -> checkpoint tensor; origin: model key -> checkpoint key; the rest as in LoadReport."""

    layout: Layout
    pairs: dict[str, Tensor]
    origin: dict[str, str]
    dropped: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    def drop(self, key: str, reason: str) -> None:
        del self.pairs[key]
        if key in self.origin:
            self.dropped[self.origin.pop(key)] = reason


def match_weights(
    own: Mapping[str, Tensor], state: Mapping[str, Tensor], name: str, source: str, strict: bool
) -> Match:
    """Pairs a checkpoint's tensors with a model's keys.

    own: the model's state dict, official keys; state: the checkpoint's, keys as read; name, source: for messages.
    Errors: CheckpointError, one sentence, as `load_weights` says.
    """
    holder = _holder(state, source)
    held = {key[len(holder) :]: value for key, value in state.items() if key.startswith(holder)}
    layout = detect_layout(held)
    official, origin = translate(held, layout)
    origin = {ours: holder + theirs for ours, theirs in origin.items()}
    mine = anatomy_of(_shapes(own))
    if mine is None:
        raise TypeError("load_weights needs a model with the official HRNet keys, such as create_model returns")
    theirs = anatomy_of(_shapes(official))
    if theirs is None:
        raise CheckpointError(_not_an_hrnet(state, official, source))
    match = Match(layout, official, origin)
    if holder:
        match.notes.append(f"the network's keys begin with {holder!r}")
    used = set(origin.values())
    match.dropped = {key: stranger_reason(key.removeprefix(holder)) for key in state if key not in used}
    for key in [key for key in official if key.endswith(COUNTER) and key in own]:
        if official[key].shape != own[key].shape:
            match.drop(key, "a counter of another shape, which may be missing")
    if differences := theirs.body_differences(mine):
        if strict or _backbone_misfits(own, official):
            raise CheckpointError(_other_body(theirs, mine, name, source, differences))
        match.notes.append(f"another body ({'; '.join(differences)}): only what has the same key and shape was loaded")

    _match_backbone(match, own, theirs, mine, source, strict)
    if theirs.head.kind == mine.head.kind:
        _match_head(match, own, theirs, mine, source, strict)
    else:
        _transfer_head(match, own, theirs, mine)
    match.missing = tuple(key for key in own if key not in match.pairs)
    if layout.name == "official_seg" and not any(key.endswith(COUNTER) for key in official):
        match.notes.append(
            "no num_batches_tracked: if the PyTorch 0.4 branch (InPlace-ABN) wrote this, its norms scale by "
            "|weight| + eps, which these keys do not tell"
        )
    return match


def _holder(state: Mapping[str, Tensor], source: str) -> str:
    """What stands before a network's keys where a user's own module holds it, as Lightning's do: e.g. 'net.', or ''."""
    prefixes = [key.removesuffix(_ANY_HRNET) for key in state if key.endswith(_ANY_HRNET)]
    prefixes = [prefix for prefix in prefixes if prefix[-1:] in ("", ".")]
    if not prefixes or {"", "model."}.intersection(prefixes):
        return ""
    if len(prefixes) > 1 and "backbone." not in prefixes:
        names = " and ".join(map(repr, prefixes))
        raise CheckpointError(
            f"{source} holds {len(prefixes)} HRNets, with keys that begin with {names}: give one's keys"
        )
    prefix = "backbone." if "backbone." in prefixes else prefixes[0]
    outer = prefix.removesuffix("backbone.")
    layout = detect_layout(key.removeprefix(outer) for key in state if key.startswith(outer))
    has_head = any(key.startswith(prefix) and not is_backbone(key.removeprefix(prefix)) for key in state)
    return prefix if outer == prefix or (layout.name == "mm_backbone" and has_head) else outer


def _match_backbone(
    match: Match, own: Mapping[str, Tensor], theirs: Anatomy, mine: Anatomy, source: str, strict: bool
) -> None:
    unused_outputs = f"stage4.{mine.modules[-1] - 1}.fuse_layers."
    for key in [key for key in match.pairs if is_backbone(key) and key not in own]:
        if mine.single_output and not theirs.single_output and key.startswith(unused_outputs):
            match.drop(key, "the last module fuses only its finest map in this model")
        elif strict:
            raise CheckpointError(
                f"{source} has the backbone key {match.origin[key]!r}, which the model lacks: it was made with other "
                "fusion or transition options; strict=False drops such keys"
            )
        else:
            match.drop(key, "the model has no such key")
    misfits = _backbone_misfits(own, match.pairs)
    if misfits:
        raise CheckpointError(f"{source} does not fit: {_misfit(match, misfits[0], own)}")
    lacking = [key for key in own if is_backbone(key) and key not in match.pairs and not key.endswith(COUNTER)]
    if not lacking or not strict:
        return
    if theirs.single_output and not mine.single_output and all(key.startswith(unused_outputs) for key in lacking):
        raise CheckpointError(
            f"{source} is of a {theirs.words} network, whose last module fuses only its finest map, so {len(lacking)} "
            f"weights of the model are not in it ({lacking[0]!r} and others); strict=False leaves them as they are"
        )
    raise CheckpointError(
        f"{source} is incomplete: {len(lacking)} backbone weights are not in it ({lacking[0]!r} first); "
        "strict=False loads the others"
    )


def _match_head(
    match: Match, own: Mapping[str, Tensor], theirs: Anatomy, mine: Anatomy, source: str, strict: bool
) -> None:
    """The same task: every weight of the head has to be there and fit."""
    if theirs.outputs is None and mine.outputs and strict:
        raise CheckpointError(
            f"{source} is {theirs.words} without its last layer ({theirs.head.output!r}), as features are taken from, "
            "and the model has one: strict=False loads the others and leaves that as it is"
        )
    if theirs.outputs != mine.outputs and mine.outputs is not None and strict:
        raise CheckpointError(
            f"{source} is {theirs.words}, the model has {mine.outputs} outputs; create the model with "
            f"num_outputs={theirs.outputs}, or keep its own last layer with strict=False"
        )
    for key in [key for key in match.pairs if not is_backbone(key)]:
        if key not in own:
            match.drop(key, "the model's head has no such key")
        elif match.pairs[key].shape != own[key].shape:
            if strict:
                raise CheckpointError(f"{source} does not fit: {_misfit(match, key, own)}")
            match.drop(key, f"shape {_size(match.pairs[key])}, the model's is {_size(own[key])}")
    lacking = [key for key in own if not is_backbone(key) and key not in match.pairs and not key.endswith(COUNTER)]
    if lacking and strict:
        raise CheckpointError(
            f"{source} is incomplete: {len(lacking)} weights of its {theirs.head.words} head are not in it "
            f"({lacking[0]!r} first); strict=False loads the others"
        )


def _transfer_head(match: Match, own: Mapping[str, Tensor], theirs: Anatomy, mine: Anatomy) -> None:
    """Another task: its head is left out. But OCR starts its auxiliary head from a segmentation head, as officially,
    the modules that increase channels are the same in timm's features and classifiers, and a detector has a pyramid."""
    shared = {theirs.head.kind, mine.head.kind} in ({"increased", "classification"}, {"detection", "faster_rcnn"})
    transfers = theirs.head.kind == "segmentation" and mine.head.kind == "ocr"
    for key in [key for key in match.pairs if not is_backbone(key)]:
        if shared and key in own and own[key].shape == match.pairs[key].shape:
            continue
        target = key.replace("last_layer.", "aux_head.", 1)
        if transfers and target in own and own[target].shape == match.pairs[key].shape:
            match.pairs[target] = match.pairs.pop(key)
            if key in match.origin:
                match.origin[target] = match.origin.pop(key)
        else:
            match.drop(key, f"{theirs.head.words} head; the model's is {mine.head.words}")
    if transfers and any(key.startswith("aux_head.") for key in match.pairs):
        match.notes.append("last_layer was loaded into aux_head, as the official OCR code does")


def _backbone_misfits(own: Mapping[str, Tensor], official: Mapping[str, Tensor]) -> list[str]:
    return [k for k, value in official.items() if is_backbone(k) and k in own and value.shape != own[k].shape]


def _not_an_hrnet(state: Mapping[str, Tensor], official: Mapping[str, Tensor], source: str) -> str:
    lacking = [f"stage{stage}" for stage in (2, 3, 4) if f"stage{stage}.0.branches.0.0.conv1.weight" not in official]
    if len(lacking) < 3:
        return f"{source} is an incomplete HRNet: it has no weights for {' and '.join(lacking)}"
    return f"{source} is not an HRNet: it looks like {foreign_words(state)}"


def _other_body(theirs: Anatomy, mine: Anatomy, name: str, source: str, differences: list[str]) -> str:
    remedy = f"it differs in {'; '.join(differences)}"
    if theirs.architecture and theirs.architecture != mine.architecture:
        whole = constructor(theirs.architecture, theirs.block, theirs.head.kind, theirs.outputs, name)
        other = constructor(theirs.architecture, theirs.block, mine.head.kind, mine.outputs, name)
        backbone = f"{other} for its backbone alone" if other and mine.head.kind != theirs.head.kind else None
        if calls := [call for call in (whole, backbone) if call]:
            remedy = f"use {', or '.join(calls)}"
    return f"{source} looks like {theirs.words}, the model is {name}; {remedy}"


def _misfit(match: Match, key: str, own: Mapping[str, Tensor]) -> str:
    theirs = match.origin.get(key, key)
    alias = "" if theirs == key else f" (for {key!r})"
    return f"{theirs!r}{alias} has shape {_size(match.pairs[key])}, the model's {_size(own[key])}"


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Every shape, with zeros for the sizes up to four that it lacks: a damaged checkpoint's may lack any."""
    return {key: (*value.shape, *(0,) * (4 - value.dim())) for key, value in state.items()}


def _size(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "scalar"
