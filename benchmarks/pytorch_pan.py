"""PAN's networks and its round of updates in plain PyTorch: what `train_step.py` races.

Written as one would write it for speed without tricks: eager, its own Adam, only the
gradients that an update needs; and, to choose, with what PyTorch has to make it faster.
Layers carry the numbers of the paper's Tables I and II, so that the weights of `pan_tf`'s
networks can be loaded.
"""

import torch
from torch import nn
from torch.nn import functional as F

LAMBDAS, MARGIN = (5.0, 1.5, 1.5, 1.0), 3.0
_TABLE_I = ((128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 2))


def _norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-4)


class Transformer(nn.Module):
    """T, Table II; `[B, 3, H, W]` in and out."""

    def __init__(self):
        super().__init__()
        filters = (3, 64, 128, 256, 512, 512, 512)
        for n in range(1, 7):
            layer = nn.Conv2d(filters[n - 1], filters[n], 3, 2, 1)
            setattr(self, f"layer_{n}", layer)
        for n in range(2, 7):
            setattr(self, f"layer_{n}_norm", _norm(filters[n]))
        channels = 512
        skips = (512, 512, 256, 128)
        for n, out, skip in zip(range(7, 11), (512, 256, 128, 64), skips, strict=True):
            setattr(self, f"layer_{n}", nn.ConvTranspose2d(channels, out, 4, 2, 1))
            setattr(self, f"layer_{n}_norm", _norm(out))
            channels = out + skip
        self.layer_11 = nn.ConvTranspose2d(channels, 64, 4, 2, 1)
        self.layer_11_norm = _norm(64)
        self.layer_12 = nn.ConvTranspose2d(64, 3, 4, 2, 1)

    def _normed(self, n, x):
        return getattr(self, f"layer_{n}_norm")(getattr(self, f"layer_{n}")(x))

    def forward(self, x):
        x, encoded = self.layer_1(x), []
        for n in range(2, 7):
            x = self._normed(n, F.leaky_relu(x, 0.2))
            encoded.append(x)
        x = F.leaky_relu(x, 0.2)
        for n, skip in zip(range(7, 11), encoded[-2::-1], strict=True):
            x = F.relu(torch.cat([self._normed(n, x), skip], 1))
        return torch.tanh(self.layer_12(F.relu(self._normed(11, x))))


class Discriminator(nn.Module):
    """D, Table I; returns the logit and the features d_1 to d_4."""

    def __init__(self, image_size):
        super().__init__()
        self.layer_1 = nn.Conv2d(3, 64, 3, 1, 1)
        channels = 64
        for n, (filters, stride) in enumerate(_TABLE_I, start=2):
            setattr(self, f"layer_{n}", nn.Conv2d(channels, filters, 3, stride, 1))
            setattr(self, f"layer_{n}_norm", _norm(filters))
            channels = filters
        self.layer_9 = nn.Conv2d(512, 8, 3, 2, 1)
        self.layer_10 = nn.Linear(8 * (image_size // 32) ** 2, 1)

    def forward(self, x):
        x = F.leaky_relu(self.layer_1(x), 0.2)
        features = [x]
        for n in range(2, 9):
            x = getattr(self, f"layer_{n}")(x)
            x = F.leaky_relu(getattr(self, f"layer_{n}_norm")(x), 0.2)
            if n in (4, 6, 8):
                features.append(x)
        x = F.leaky_relu(self.layer_9(x), 0.2)
        # As channels last flatten, so that the dense layer's weights mean the same.
        return self.layer_10(x.permute(0, 2, 3, 1).flatten(1)), features


class Pan:
    """T, D, their optimizers, and one round: an update of D, three of T.

    Args:
        image_size: pixels a side.
        bfloat16: whether convolutions run in bfloat16, by autocast.
        channels_last: memory format of weights and images.
        sharing: whether, on a reused minibatch, T's output and D's view of the target
            are kept while they stay the same.
        compiled: whether networks go through `torch.compile` (the first round then takes
            minutes), and each Adam is one fused operation.
    """

    def __init__(
        self,
        image_size,
        bfloat16=False,
        channels_last=False,
        sharing=False,
        compiled=False,
    ):
        self.sharing = sharing
        self.t, self.d = Transformer(), Discriminator(image_size)
        self.bfloat16 = bfloat16
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.t.to(memory_format=self.format)
        self.d.to(memory_format=self.format)
        self.t_optimizer, self.d_optimizer = (
            torch.optim.Adam(each.parameters(), 2e-4, (0.5, 0.999), fused=compiled)
            for each in (self.t, self.d)
        )
        if compiled:
            self.t.compile()
            self.d.compile()

    def load(self, weights):
        """Takes weights by name, as `train_step.py` exports them."""
        for network, prefix in ((self.t, "t"), (self.d, "d")):
            state = network.state_dict()
            for name in state:
                if not name.endswith("num_batches_tracked"):
                    value = torch.from_numpy(weights[f"{prefix}.{name}"])
                    state[name] = value
            network.load_state_dict(state)

    def round(self, batch, reuse):
        """One round.

        Args:
            batch: source and target, float32 `[B, N, 3, H, W]`, N minibatches.
            reuse: whether all updates take the first minibatch.

        Returns:
            name -> float, as `TranslationModel.train_step`.
        """
        logs = {}

        def log(name, value):
            logs.setdefault(name, []).append(value.item())

        def minibatch(i):
            position = 0 if reuse else i
            return [x[:, position].contiguous(memory_format=self.format) for x in batch]

        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            source, target = minibatch(0)
            self.d.requires_grad_(True)
            with torch.set_grad_enabled(self.sharing and reuse):
                output = self.t(source)
            logit_y, real = self.d(target)
            logit_t, generated = self.d(output.detach())
            game = (
                F.softplus(-logit_y.float()).mean() + F.softplus(logit_t.float()).mean()
            )
            hinge = F.relu(MARGIN - _distance(real, generated))
        self.d_optimizer.zero_grad()
        (game + hinge).backward()
        self.d_optimizer.step()
        log("d_adversarial", game)
        log("d_perceptual_adversarial", hinge)

        self.d.requires_grad_(False)
        kept = self.sharing and reuse
        for i in range(1, 4):
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
                if not reuse:
                    source, target = minibatch(i)
                if i == 1 or not kept:
                    with torch.no_grad():
                        _, real = self.d(target)
                if i > 1 or not kept:
                    output = self.t(source)
                logit, generated = self.d(output)
                game = -F.softplus(logit.float()).mean()
                distance = _distance(real, generated)
            self.t_optimizer.zero_grad()
            (game + distance).backward()
            self.t_optimizer.step()
            log("t_adversarial", game)
            log("t_perceptual_adversarial", distance)
        return {name: sum(values) / len(values) for name, values in logs.items()}


def _distance(real, generated):
    return sum(
        weight * (a.float() - b.float()).abs().mean()
        for weight, a, b in zip(LAMBDAS, real, generated, strict=True)
    )
