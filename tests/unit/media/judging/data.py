"""Ten images of four classes, for which scikit-learn, SciPy and cleanlab gave the constants of the tests."""

import numpy as np

LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 3])
LOGITS = np.array(
    [
        [3.2, 0.1, -1.0, 0.3],
        [1.5, 1.4, 0.2, 0.0],
        [0.2, 2.6, 0.1, -0.4],
        [2.1, 0.3, 0.2, 1.9],
        [0.4, 2.2, 0.1, 0.3],
        [-0.5, 0.7, 0.6, 0.2],
        [4.1, 0.3, 0.2, 0.1],
        [0.3, 0.1, 1.7, 0.6],
        [0.2, 0.4, 0.1, 2.9],
        [0.1, 0.0, 0.2, 3.3],
    ]
)
CLASSES = ("ant", "bee", "cat", "dog")
