"""Inside the replica of a model: decode, prepare, batch, infer, finish.

    Replica -> LoadedModel.prepare -> Inference -> batching.MicroBatcher -> LoadedModel.finish

Runs in the process that holds the model. May import families and runtimes; never `deployments.client`.
"""
