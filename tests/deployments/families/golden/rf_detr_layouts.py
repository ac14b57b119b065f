"""What `make_rf_detr.py` makes: the variants of rfdetr, made small. It needs rfdetr."""

from rfdetr import variants

# Of each layout: the variant, the backbone, settings, the canvases, and the container.
LAYOUTS = {
    "rf-detr-nano": (
        variants.RFDETRNano,
        {"hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 2, "mlp_ratio": 1},
        {"hidden_dim": 32, "sa_nheads": 2, "ca_nheads": 4, "out_feature_indexes": [1, 3], "resolution": 160},
        [(160, 160), (128, 224), (64, 64)],
        "namespace",
    ),
    "rf-detr-rectangular": (
        variants.RFDETRMedium,
        {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 1, "mlp_ratio": 2},
        {"hidden_dim": 64, "sa_nheads": 2, "ca_nheads": 4, "out_feature_indexes": [1, 2, 3, 4], "dec_layers": 3},
        [(96, 160), (160, 96), (192, 320)],
        "settings",
    ),
    "rf-detr-old-large": (
        variants.RFDETRLargeDeprecated,
        {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 1, "mlp_ratio": 2},
        {"hidden_dim": 48, "sa_nheads": 3, "ca_nheads": 3, "out_feature_indexes": [1, 3], "resolution": 112},
        [(112, 112), (112, 168), (224, 112)],
        "namespace",
    ),
    "rf-detr-seg": (
        variants.RFDETRSegNano,
        {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 1, "mlp_ratio": 2},
        {"hidden_dim": 32, "sa_nheads": 2, "ca_nheads": 4, "out_feature_indexes": [1, 3], "dec_layers": 3},
        [(96, 96), (96, 144), (72, 60)],
        "settings",
    ),
}
