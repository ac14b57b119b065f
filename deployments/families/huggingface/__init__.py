"""The room of models that Hugging Face's `transformers` saves as a folder, rebuilt in Keras without it.

    hub_folder.py        config.json and preprocessor_config.json, read as data
    vit_config.py        the architectures that are known, and what their configuration must say
    vit_tensors.py       what tensors an architecture has, by name and shape
    vit_graph.py         the network with its weights
    image_processor.py   how an image gets onto the canvas, as preprocessor_config.json says
    huggingface.py       the family: class scores or embeddings

The blocks themselves are those of `shared/transformer.py`. A new architecture of this kind is a configuration in
vit_config.py and its names in vit_tensors.py; golden data for it comes from `make_huggingface.py`.
"""
