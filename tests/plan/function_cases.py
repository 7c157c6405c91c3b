"""What heads and wrappers do to a map of eight channels, beside what the planner fuses."""

import torch
import torch.nn.functional as F


def in_place(y):
    y -= 1
    y *= 2
    y /= 3
    y += 0.5
    y **= 2
    return y


FUNCTIONS = {
    "neg": lambda y: -y,
    "rsub": lambda y: 1 - y,
    "add a number": lambda y: y + 1.5,
    "a number added": lambda y: 1.5 + y,
    "divided": lambda y: 1 / (y.abs() + 1),
    "operators in place": in_place,
    "methods in place": lambda y: y.clamp_(-1, 1).mul_(2).sub_(1).neg_().sigmoid_(),
    "alpha": lambda y: torch.add(y, y.relu(), alpha=0.5),
    "broadcast": lambda y: y + y.mean((2, 3), keepdim=True),
    "broadcast in place": lambda y: y.add_(y.mean(1, keepdim=True)).relu(),
    "squeeze and excite": lambda y: y * F.hardsigmoid(F.adaptive_avg_pool2d(y, 1)),
    "clamp": lambda y: y.clamp(min=-0.5).clamp(max=0.75),
    "clamped between": lambda y: torch.clamp(y, -0.5, 0.5),
    "powers": lambda y: (y**2 + 1).sqrt() + torch.rsqrt(y.square() + 1) + y.exp().log() + torch.tanh(y),
    "activations": lambda y: F.silu(F.leaky_relu(F.hardswish(y), 0.2)) + F.elu(y) + F.mish(y) + F.softplus(y),
    "in place": lambda y: F.silu(F.leaky_relu(F.hardtanh(y, -2, 2, True), 0.1, inplace=True), inplace=True),
    "gelu": lambda y: F.gelu(y) + F.gelu(y, approximate="tanh"),
    "by name": lambda y: torch.relu(input=torch.neg(input=y)),
    "relu6": lambda y: F.relu6(y),
    "chunk": lambda y: torch.cat([part.relu() for part in y.chunk(3, 1)][::-1], 1),
    "chunked gate": lambda y: torch.mul(*torch.chunk(y, chunks=2, dim=-3)),
    "split": lambda y: [part * 2 for part in y.split(3, dim=1)],
    "split by sizes": lambda y: torch.split(y, [1, 4, 3], 1)[1],
    "split rows": lambda y: torch.cat(y.split(4, 2)[::-1], 2),
    "unpacked": lambda y: [part.relu() for part in y.unflatten(1, (2, 4)).unbind(2)],
    "unpacked rows": lambda y: [row * 2 for row in y.permute(2, 0, 1, 3)],
    "max": lambda y: y.max(1)[0],
    "max kept": lambda y: torch.max(y, dim=1, keepdim=True).values * y,
    "min unpacked": lambda y: (lambda values, indices: values)(*y.min(-1)),
    "max of two by name": lambda y: torch.max(y, other=-y),
    "view": lambda y: y.view(y.size(0), -1),
    "viewed and back": lambda y: torch.tanh(y.view(y.size(0), 8, -1).mean(2, keepdim=True)).view(-1, 8, 1, 1) * y,
    "max kept by position": lambda y: torch.max(y, 1, True)[0] * y,
    "max of two": lambda y: torch.max(y, y.neg()),
    "amax": lambda y: y.amax((2, 3)),
    "max of all": lambda y: y / (y.max() + 10),
    "max pool": lambda y: F.adaptive_max_pool2d(y, 1).flatten(1),
    "max pool of a size": lambda y: F.adaptive_max_pool2d(y, (2, 3)),
    "bicubic": lambda y: F.interpolate(y, scale_factor=2, mode="bicubic", align_corners=False),
    "bicubic to a size": lambda y: F.interpolate(y, size=(13, 8), mode="bicubic", align_corners=True),
    "antialiased": lambda y: F.interpolate(y, size=(4, 5), mode="bilinear", antialias=True),
    "a fraction": lambda y: F.interpolate(y, scale_factor=1.3, mode="bilinear"),
    "area": lambda y: F.interpolate(y, size=(3, 3), mode="area"),
    "nearest-exact": lambda y: F.interpolate(y, size=(5, 11), mode="nearest-exact"),
    "lines": lambda y: F.interpolate(y.flatten(2), scale_factor=2),
    "flipped": lambda y: y.flip(3) + torch.flip(y, (2, -1)) + y.flip(1, 0) + y.roll((1, 2), (2, 3)),
    "normalized": lambda y: F.normalize(y, dim=1),
    "log_softmax": lambda y: F.log_softmax(y, dim=1) + y.log_softmax(1),
    "casts to its own dtype": lambda y: y.to(y.dtype) + y.type_as(y) + y.to(y).relu_(),
    "none": lambda y: (y, None, [None, y.relu()]),
}
