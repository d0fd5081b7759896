"""Packages that only this benchmark needs; each name has a virtual environment of its own, outside the project's."""

PACKAGES = {
    "keras": ("tensorflow-cpu==2.21.0", "keras==3.15.1"),
    "scikit-learn": ("scikit-learn==1.9.1",),
}
