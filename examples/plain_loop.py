"""A locally connected layer in a plain PyTorch loop, on scikit-learn's handwritten digits: ``python examples/plain_loop.py``."""

from __future__ import annotations

import argparse
import json

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

import convarium as cv


def network() -> nn.Sequential:
    """Where a stroke is matters to a digit, so each position has kernels of its own."""
    return nn.Sequential(
        cv.nn.Conv2d(1, 8, 3, padding="same"), nn.ReLU(),
        cv.nn.LocalConv2d(8, 8, 3, padding="same", stride=2, input_size=(8, 8)), nn.ReLU(),
        nn.Flatten(), nn.Linear(8 * 4 * 4, 10),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(0)
    images, labels = load_digits(return_X_y=True)
    split = train_test_split(images.reshape(-1, 1, 8, 8) / 16, labels, test_size=0.25, random_state=0, stratify=labels)
    train, test, train_labels, test_labels = (torch.tensor(part) for part in split)
    train, test = train.float(), test.float()

    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(options.epochs):
        for batch in torch.randperm(len(train)).split(32):
            loss = nn.functional.cross_entropy(model(train[batch]), train_labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        accuracy = 100 * (model(test).argmax(1) == test_labels).float().mean().item()
    print(
        json.dumps({"accuracy": accuracy}) if options.json else f"{accuracy:.1f} % of {len(test)} digits are read right"
    )


if __name__ == "__main__":
    main()
