"""What all tests of the trainer share: they train on the CPU, where results are the same bit for bit."""

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before torch looks for a GPU
