"""The network of ``plain_loop.py`` as a LightningModule: ``pip install lightning``, ``python examples/lightning_module.py``.

Nothing of it is special to convarium: its layers are modules, their parameters are parameters.
"""

from __future__ import annotations

import lightning
import torch
from plain_loop import network
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class Digits(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        images, labels = batch
        loss = nn.functional.cross_entropy(self.network(images), labels)
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=3e-3)


def main() -> None:
    images, labels = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(images.reshape(-1, 1, 8, 8) / 16).float(), torch.tensor(labels))
    trainer = lightning.Trainer(max_epochs=5, accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.fit(Digits(), DataLoader(data, batch_size=32, shuffle=True))
    print(f"loss {trainer.callback_metrics['loss']:.3f}")


if __name__ == "__main__":
    main()
