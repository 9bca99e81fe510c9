"""CycleGAN's networks and step in plain PyTorch: what `cycle_step.py` races.

As the authors' code has them by default, eager or compiled: T updates first, on both
directions' outputs, with their way back and their identity; then D of either domain on
what T made before. Layers come in the order of `pan_tf`'s, so that its weights can be
loaded.
"""

import itertools
import random

import torch
from torch import nn

CYCLE, IDENTITY, MEMORY = 10.0, 5.0, 50


def _block(channels):
    return nn.Sequential(
        nn.ReflectionPad2d(1),
        nn.Conv2d(channels, channels, 3),
        nn.InstanceNorm2d(channels),
        nn.ReLU(True),
        nn.ReflectionPad2d(1),
        nn.Conv2d(channels, channels, 3),
        nn.InstanceNorm2d(channels),
    )


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.residual = _block(channels)

    def forward(self, x):
        return x + self.residual(x)


def transformer(blocks=9):
    """T; `[B, 3, H, W]` in and out."""
    layers = [nn.ReflectionPad2d(3), nn.Conv2d(3, 64, 7)]
    layers += [nn.InstanceNorm2d(64), nn.ReLU(True)]
    for channels in (64, 128):
        layers += [nn.Conv2d(channels, 2 * channels, 3, 2, 1)]
        layers += [nn.InstanceNorm2d(2 * channels), nn.ReLU(True)]
    layers += [Block(256) for _ in range(blocks)]
    for channels in (256, 128):
        layers += [nn.ConvTranspose2d(channels, channels // 2, 3, 2, 1, 1)]
        layers += [nn.InstanceNorm2d(channels // 2), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(64, 3, 7), nn.Tanh())


def discriminator():
    """D of 70 x 70 patches, without a sigmoid."""
    layers = [nn.Conv2d(3, 64, 4, 2, 1), nn.LeakyReLU(0.2, True)]
    for before, after, stride in ((64, 128, 2), (128, 256, 2), (256, 512, 1)):
        layers += [nn.Conv2d(before, after, 4, stride, 1)]
        layers += [nn.InstanceNorm2d(after), nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(512, 1, 4, 1, 1))


class Memory:
    """The authors' ImagePool."""

    def __init__(self):
        self.images = []

    def query(self, outputs):
        drawn = []
        for output in outputs.detach().split(1):
            if len(self.images) < MEMORY:
                self.images.append(output)
            elif random.random() > 0.5:
                place = random.randrange(MEMORY)
                output, self.images[place] = self.images[place], output
            drawn.append(output)
        return torch.cat(drawn)


class CycleGAN:
    """Both Ts, both Ds, their optimizers, and one step.

    Args:
        bfloat16: whether convolutions run in bfloat16, by autocast.
        channels_last: memory format of weights and images.
        compiled: whether networks go through `torch.compile` (the first step then takes
            minutes), and each Adam is one fused operation.
    """

    def __init__(self, bfloat16=False, channels_last=False, compiled=False):
        self.networks = {
            "transformer": transformer(),
            "inverse": transformer(),
            "discriminator": discriminator(),
            "inverse_discriminator": discriminator(),
        }
        self.bfloat16 = bfloat16
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        for network in self.networks.values():
            network.to(memory_format=self.format)
            if compiled:
                network.compile()
        self.t, self.f, self.d_y, self.d_x = self.networks.values()
        self.memories = {self.d_y: Memory(), self.d_x: Memory()}

        def adam(*networks):
            weights = itertools.chain(*(n.parameters() for n in networks))
            return torch.optim.Adam(weights, 2e-4, (0.5, 0.999), fused=compiled)

        self.t_optimizer = adam(self.t, self.f)
        self.d_optimizer = adam(self.d_y, self.d_x)

    def load(self, weights):
        """Takes weights, "<network>.<number of the layer>.<weight or bias>"."""
        for name, network in self.networks.items():
            kinds = (nn.Conv2d, nn.ConvTranspose2d)
            layers = [m for m in network.modules() if isinstance(m, kinds)]
            with torch.no_grad():
                for number, layer in enumerate(layers):
                    for part in ("weight", "bias"):
                        value = torch.from_numpy(weights[f"{name}.{number}.{part}"])
                        getattr(layer, part).copy_(value)

    def step(self, x, y):
        """One step on a source and a target minibatch, `[B, 3, H, W]`; name -> float."""
        x, y = (image.contiguous(memory_format=self.format) for image in (x, y))
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            for d in (self.d_y, self.d_x):
                d.requires_grad_(False)
            fake_y, fake_x = self.t(x), self.f(y)
            again_x, again_y = self.f(fake_y), self.t(fake_x)
            game = _square(self.d_y(fake_y), 1.0) + _square(self.d_x(fake_x), 1.0)
            cycle = CYCLE * (_distance(again_x, x) + _distance(again_y, y))
            identity = _distance(self.t(y), y) + _distance(self.f(x), x)
            loss = game + cycle + IDENTITY * identity
        self.t_optimizer.zero_grad()
        loss.backward()
        self.t_optimizer.step()
        self.d_optimizer.zero_grad()
        judged = 0.0
        for d, real, fake in ((self.d_y, y, fake_y), (self.d_x, x, fake_x)):
            d.requires_grad_(True)
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
                known = self.memories[d].query(fake)
                errors = 0.5 * (_square(d(real), 1.0) + _square(d(known), 0.0))
            errors.backward()
            judged += errors.item()
        self.d_optimizer.step()
        return {
            "t_adversarial": game.item(),
            "t_cycle_consistency": cycle.item(),
            "t_identity": IDENTITY * identity.item(),
            "d_adversarial": judged,
        }


def _square(logits, wanted):
    return ((logits.float() - wanted) ** 2).mean()


def _distance(a, b):
    return (a.float() - b).abs().mean()
