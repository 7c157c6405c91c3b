"""Small networks drawn from a seed, as text: lines that torch can run, one after another, of what networks do to maps.

In a line, <map> is a value of four dimensions and <any> any value; <same> has the shape of what was drawn before it,
<new> is a name, <index> a part, and <conv>, <norm> and the like are layers.
"""

from __future__ import annotations

import random
import re

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LINES = """
<new> = <conv>(<map>)
<new> = F.relu(<conv>(<map>))
<new> = <conv>(<map>).relu_()
<new> = <norm>(<conv>(<map>))
<new> = F.relu(<norm>(<conv>(<map>)), inplace=True)
<new> = F.relu(<norm>(<plain>(<map>)) + <map>)
<new> = F.relu(<plain>(<map>)) + <map>
<new> = F.relu(F.relu(<plain>(<map>)) + <map>)
<new> = <map> + <plain>(<plain>(<map>).relu())
<new> = <norm>(<deconv>(<map>)).relu()
<new> = <norm>(<map>)
<new> = <any> + <same>
<new> = <any> + <same> + <same>
<any> += <same>
<any> = <any> * 0.5 - <same>
<new> = <any> * <same>.sigmoid()
<new> = sum([<any>, <same>, <same>])
<new> = F.relu(<any> + <same>)
<new> = (<any> - 1) / (<same>.abs() + 1)
<new> = torch.add(<any>, <same>, alpha=0.5)
<new> = <map> * <scale>
<new> = <map> + <scale>.abs().flatten().view(-1, 1, 1)
<new> = <map> + torch.arange(<map>.shape[3]).to(<map>) / <map>.shape[3]
<new> = <any>.relu()
<any>.relu_()
<new> = F.silu(<any>, inplace=True)
<new> = F.leaky_relu(<any>, 0.1)
<new> = F.hardtanh(<any>, -1, 0.5).clone()
<new> = F.gelu(<any>).detach()
<new> = <any>.softmax(-1)
<new> = F.dropout(<any>, 0.5, self.training)
<new> = F.relu(<map> + <resized>)
<new> = <resized> + <map> + <resized>
<new> = torch.cat([<map>, <resized>], 1)
<new> = <over>(torch.cat([<resized>, <map>, <resized>], 1))
<new> = F.interpolate(<map>, scale_factor=<factor>, mode=<mode>)
<new> = F.interpolate(<map>, scale_factor=<factor>, mode="bilinear", antialias=True)
<new> = F.max_pool2d(<map>, 3, 2, 1, ceil_mode=True)
<new> = F.avg_pool2d(<map>, 2, 1, count_include_pad=False)
<new> = F.adaptive_avg_pool2d(<map>, (2, 3))
<new> = <linear>(<map>.mean((2, 3)))
<new> = <linear>(F.adaptive_avg_pool2d(<map>, 1).flatten(1))
<new> = <map> * <map>.mean((2, 3), keepdim=True).sigmoid()
<new> = F.pixel_shuffle(torch.cat([<map>] * 4, 1), 2)
<new> = torch.cat(<any>.chunk(2, -1)[::-1], -1)
<new> = torch.stack(<any>.unbind(1), 1) * 2
<new>, *_ = <any>.split(2, 1)
<new> = torch.stack([<any>, <same>]).amax(0)
<new> = torch.cat([<any>, <same>])
<new> = <any>.transpose(1, -1)
<new> = <any>.flatten(1)
<new> = <any>.reshape(<any>.shape[0], -1, 1, 1)
<new> = F.pad(<map>, (1, 0, 2, 1), mode=<padding>)
<new> = <any>.amax(-1, keepdim=True)
<new> = <any>.max(1)[0]
<new> = <any>.mean(0, keepdim=True).expand(2, *<any>.shape[1:])
<new> = <any>[<index>]
<new> = <any>[<index>] * 2
<new> = <any>[[0, -1]]
<any>[<index>] = 0.5
<any>[<index>] += 1
<any>[<index>] = <same>[<index>] * 2
<any>[<index>].mul_(0.5)
<new> = <any>.clone()
<new> = torch.zeros_like(<any>); <new>[<index>] = <any>[<index>]
<new> = <any> * (<any> > 0)
<new> = torch.where(<any> < 0.5, <any>, 0.5) + <any>.masked_fill(<any> < 0, 0)
<new> = <any>.sort(-1, descending=True)[0] - <any>.topk(1, 1).values
<new> = <any>.gather(1, <any>.argmax(1, keepdim=True))
<any>[<any> > 1] = 1
<any>[<index>].copy_(<same>[<index>])
<new> = torch.empty_like(<any>).copy_(<same>).fill_(0.5); <new>[<index>] = <any>[<index>]
<new> = <any>.median(1)[0] + <any>.aminmax(dim=1).max
<new> = F.max_unpool2d(*F.max_pool2d(<map>, 2, return_indices=True), 2, output_size=<map>.shape)
<new> = torch.zeros(<any>.shape[-1]); <new>[::2] = 1; <new> += 0.5; <new> = <any> * <new>
<new> = <any> * (2 if <any>.shape[-1] > 4 and not self.training else 3)
""".strip().splitlines()  # fmt: skip
LAYERS = {  # c: channels of what was drawn; o: some others
    "conv": [
        "nn.LazyConv2d({o}, 3, padding=1)", "nn.LazyConv2d({o}, 3, stride=2, padding=1, bias=False)",
        "nn.LazyConv2d({o}, 1)", "nn.LazyConv2d({o}, (2, 3), stride=(1, 2))", "nn.LazyConv2d({c}, 3, groups={c})",
        "nn.LazyConv2d({o}, 3, padding=2, dilation=2)", 'nn.LazyConv2d({o}, 4, padding="same")',
        'nn.LazyConv2d({o}, 3, padding=1, padding_mode="reflect")',
    ],
    "plain": ["nn.LazyConv2d({c}, 3, padding=1)", "nn.LazyConv2d({c}, 1, bias=False)"],
    "over": ["nn.LazyConv2d({o}, 1)"],
    "deconv": [
        "nn.LazyConvTranspose2d({o}, 4, 2, 1)", "nn.LazyConvTranspose2d({o}, 3, 2, 1, 1)",
        "nn.LazyConvTranspose2d({o}, 3)",
    ],
    "norm": ["nn.LazyBatchNorm2d()", "nn.LazyBatchNorm2d(eps=0.1)", "nn.LazyBatchNorm2d(affine=False)"],
    "linear": ["nn.LazyLinear({o})"],
    "scale": ["nn.Parameter(torch.empty(1, {c}, 1, 1))"],
}  # fmt: skip
RESULTS = ["(<unread>,)", "[<unread>, <any>]", '{"a": (<unread>,), "b": None}', "tuple(values)"]


class RandomNetwork:
    """shapes: of the inputs; layers, lines, result: of the module that `build` makes and `str` shows; values: what its
    names stand for, in float64."""

    def __init__(self, seed: int, length: int = 12):
        self.draw = random.Random(seed)
        n, sides = self.one_of(1, 2, 3), [self.one_of(1, 4, 5, 7, 8, 16, 19) for _ in range(4)]
        self.shapes = [(n, self.draw.randint(1, 5), *sides[i : i + 2]) for i in range(0, self.one_of(2, 2, 4), 2)]
        self.layers: list[str] = []
        self.lines: list[str] = []
        self.result = "locals()"
        self.values = {f"x{i}": x for i, x in enumerate(self.inputs())}
        while len(self.lines) < length:
            self._add(self.one_of(*LINES[:11]) if self.draw.random() < 0.4 else self.one_of(*LINES))
        self.result = self._filled(self.one_of(*RESULTS), "")

    def __str__(self) -> str:
        body = [f"layer{i} = {layer}" for i, layer in enumerate(self.layers)]
        return "\n".join([f"inputs {self.shapes}", *body, *self.lines, f"return {self.result}"])

    def one_of(self, *choices):
        return self.draw.choice(choices)

    def inputs(self, dtype: torch.dtype = torch.float64) -> list[Tensor]:
        drawn = torch.Generator().manual_seed(0)
        return [torch.randn(shape, generator=drawn, dtype=torch.float64).to(dtype) for shape in self.shapes]

    def build(self, dtype: torch.dtype = torch.float64) -> nn.Module:
        """The network, in evaluation mode."""
        names = ", ".join(f"x{i}" for i in range(len(self.shapes)))
        body = "\n    ".join([*self.lines, "values = [v for v in locals().values() if isinstance(v, Tensor)]"])
        defined: dict = {"torch": torch, "F": F, "Tensor": Tensor, "nn": nn}
        exec(f"def forward(self, {names}):\n    {body}\n    return {self.result}", defined)
        network = type("Drawn", (nn.Module,), {"forward": defined["forward"]})()
        drawn = torch.Generator().manual_seed(1)
        for index, layer in enumerate(self.layers):
            setattr(network, f"layer{index}", eval(layer, defined))
        network.eval().double()
        with torch.no_grad():
            network(*self.inputs())  # so that its layers know their channels
            for name, tensor in network.state_dict().items():
                if tensor.is_floating_point():
                    values = torch.randn(tensor.shape, generator=drawn) / max(1, tensor[0].numel()) ** 0.5
                    tensor.copy_(values.abs() + 0.5 if name.endswith("_var") else values)
        return network.to(dtype)

    def _add(self, template: str) -> None:
        """One more line, if torch can run it and its numbers stay small."""
        before, self.layers, self.lines = (self.layers, self.lines), [*self.layers], [*self.lines]
        try:
            self.lines.append(self._filled(template, f"v{len(self.lines)}"))
            with torch.no_grad():
                values = self.build()(*self.inputs())
            values = {k: v for k, v in values.items() if isinstance(v, Tensor)}
            if any(v.numel() > 50_000 or not v.numel() or not v.abs().max() < 50 for v in values.values()):
                raise ValueError
        except (RuntimeError, ValueError, IndexError, TypeError):
            self.layers, self.lines = before
        else:
            self.values = values

    def _filled(self, template: str, new: str) -> str:
        """A template with everything drawn. new: the name of what it makes."""
        maps = [name for name, value in self.values.items() if value.dim() == 4]
        value = self.one_of(*(maps if "<map>" in template else self.values))
        shape = self.values[value].shape
        index = [self.one_of(":", ":", "::2", "1:", ":-1", "0", "-1", "...", "None") for _ in shape]
        drawn = {"new": new, "any": value, "map": value, "index": ", ".join(index[: self.draw.randint(1, len(shape))])}
        made = {
            "same": lambda: self.one_of(*(name for name, other in self.values.items() if other.shape == shape)),
            "resized": lambda: self._resized(self.one_of(*maps), shape),
            "factor": lambda: self.one_of("2", "1.5", "0.5", "(2, 3)"),
            "mode": lambda: self.one_of('"nearest"', '"bilinear"', '"bicubic"', '"area"'),
            "unread": lambda: ", ".join(name for name in self.values if self._lines_with(name) == 1) or value,
            "padding": lambda: self.one_of('"constant"', '"reflect"', '"replicate"', '"circular"'),
        }
        made |= {kind: lambda kind=kind: self._layer(kind, shape[1]) for kind in LAYERS}
        return re.sub(r"<(\w+)>", lambda found: drawn.get(found[1]) or made[found[1]](), template)

    def _lines_with(self, name: str) -> int:
        return sum(name in re.findall(r"\w+", line) for line in self.lines)

    def _resized(self, name: str, shape: torch.Size) -> str:
        how = self.one_of('mode="nearest"', 'mode="bilinear"', 'mode="bilinear", align_corners=True')
        return f"F.interpolate({name}, size={tuple(shape[2:])}, {how})"

    def _layer(self, kind: str, channels: int) -> str:
        made = self.one_of(*LAYERS[kind]).format(c=channels, o=self.one_of(1, 3, channels, 8, 17))
        self.layers.append(made)
        return f"self.layer{len(self.layers) - 1}"
