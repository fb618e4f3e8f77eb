"""Arguments of ``write_store`` for the example."""

from __future__ import annotations

from typing import Any

import numpy as np
from inclusion_example import ACCOUNTS, EXAMPLE

from air.encoding import limbs
from air.registry import AMOUNT_LIMBS

IDS = list(ACCOUNTS)


def arguments(**changes: Any) -> dict[str, Any]:
    """Arguments of write_store for the example, some of them replaced."""
    rows = [ACCOUNTS[name][1] for name in IDS]
    values: dict[str, Any] = {
        "statement": EXAMPLE.statement,
        "account_ids": [name.encode() for name in IDS],
        "salts": np.array([list(EXAMPLE.salts[name]) for name in IDS], np.uint8),
        "slots": np.array([ACCOUNTS[name][0] for name in IDS]),
        "offsets": np.concatenate([[0], np.cumsum([len(row) for row in rows])]),
        "assets": np.array([asset for row in rows for asset, _ in row], np.uint16),
        "limbs": np.array(
            [limbs(amount, AMOUNT_LIMBS) for row in rows for _, amount in row], np.uint32
        ),
        "batch_nodes": [np.array(tree, np.uint32) for tree in EXAMPLE.nodes],
        "upper": EXAMPLE.upper,
    }
    return {**values, **changes}
