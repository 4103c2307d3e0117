"""The papers that the methods come from: key -> paper and equation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    """Where a method comes from."""

    authors: str
    year: int
    title: str
    where: str
    equation: str

    def __str__(self) -> str:
        return f"{self.authors} ({self.year}). {self.title}. {self.where}. {self.equation}."


BIBLIOGRAPHY: dict[str, Reference] = {
    "simonyan2013": Reference(
        "Simonyan, Vedaldi, Zisserman", 2013,
        "Deep Inside Convolutional Networks: Visualising Image Classification Models and Saliency Maps",
        "arXiv:1312.6034", "Eq. 1 (class visualization), section 3 (saliency)",
    ),
    "zeiler2014": Reference(
        "Zeiler, Fergus", 2014, "Visualizing and Understanding Convolutional Networks",
        "ECCV, arXiv:1311.2901", "Section 2.1 (deconvnet), section 4.2 (occlusion)",
    ),
    "springenberg2015": Reference(
        "Springenberg, Dosovitskiy, Brox, Riedmiller", 2015,
        "Striving for Simplicity: The All Convolutional Net",
        "ICLR workshop, arXiv:1412.6806", "Section 3.4 and figure 1 (deconvnet, guided backpropagation)",
    ),
    "nakandala2019": Reference(
        "Nakandala, Kumar, Papakonstantinou", 2019,
        "Incremental and Approximate Inference for Faster Occlusion-based Deep CNN Explanations",
        "SIGMOD", "Sections 4-5 (incremental inference; the threshold on a window's growth)",
    ),
    "nie2018": Reference(
        "Nie, Zhang, Patel", 2018,
        "A Theoretical Explanation for Perplexing Behaviors of Backpropagation-based Visualizations",
        "ICML, arXiv:1805.07039", "Theorem 1",
    ),
    "adebayo2018": Reference(
        "Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim", 2018, "Sanity Checks for Saliency Maps",
        "NeurIPS, arXiv:1810.03292", "Sections 3-4 (model parameter randomisation)",
    ),
    "zhou2016": Reference(
        "Zhou, Khosla, Lapedriza, Oliva, Torralba", 2016,
        "Learning Deep Features for Discriminative Localization",
        "CVPR, arXiv:1512.04150", "Eq. 2",
    ),
    "selvaraju2017": Reference(
        "Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra", 2017,
        "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization",
        "ICCV, arXiv:1610.02391", "Eqs. 1-2, section 3.3 (guided Grad-CAM)",
    ),
    "yosinski2015": Reference(
        "Yosinski, Clune, Nguyen, Fuchs, Lipson", 2015, "Understanding Neural Networks Through Deep Visualization",
        "ICML workshop, arXiv:1506.06579", "Section 3 (decay, blur, clipping)",
    ),
    "olah2017": Reference(
        "Olah, Mordvintsev, Schubert", 2017, "Feature Visualization", "Distill, doi:10.23915/distill.00007",
        "Preconditioning and parameterization, transformation robustness, diversity",
    ),
    "mordvintsev2018": Reference(
        "Mordvintsev, Pezzotti, Schubert, Olah", 2018, "Differentiable Image Parameterizations",
        "Distill, doi:10.23915/distill.00012", "Section on transparency",
    ),
    "li2020": Reference(
        "Li, Bai, Zhou, Xie, Zhang, Yuille", 2020, "Learning Transferable Adversarial Examples via Ghost Networks",
        "AAAI, arXiv:1812.03413", "Ghost networks (that differ a little from one)",
    ),
    "zimmermann2021": Reference(
        "Zimmermann, Borowski, Geirhos, Bethge, Wallis, Brendel", 2021,
        "How Well do Feature Visualizations Support Causal Understanding of CNN Activations?",
        "NeurIPS, arXiv:2106.12447", "The comparison of synthetic images with photos",
    ),
    "fel2023": Reference(
        "Fel, Boissin, Boutin, Picard, Novello, Colin, Linsley, Rousseau, Cadène, Gardes, Serre", 2023,
        "Unlocking Feature Visualization for Deeper Networks with MAgnitude Constrained Optimization",
        "NeurIPS, arXiv:2306.06805", "Section 3 (phase alone, natural magnitudes)",
    ),
    "kirichenko2023": Reference(
        "Kirichenko, Izmailov, Wilson", 2023,
        "Last Layer Re-Training is Sufficient for Robustness to Spurious Correlations",
        "ICLR, arXiv:2204.02937", "Section 4 (deep feature reweighting)",
    ),
    "labonte2023": Reference(
        "LaBonte, Muthukumar, Kumar", 2023,
        "Towards Last-layer Retraining for Group Robustness with Fewer Annotations",
        "NeurIPS, arXiv:2309.08534", "Section 5 (selective last-layer finetuning, by dropout disagreement)",
    ),
    "geirhos2023": Reference(
        "Geirhos, Zimmermann, Bilodeau, Brendel, Kim", 2023,
        "Don't trust your eyes: on the (un)reliability of feature visualizations",
        "arXiv:2306.04719", "The sanity check (are they processed along the same path as photos?)",
    ),
}  # fmt: skip
