"""The Open Inference Protocol over gRPC, for clients such as `tritonclient.grpc`: off unless a port is set.

    open_inference.proto   the messages; `make proto` makes the two modules beside it
    server.py              the gRPC server, in the event loop of the door
    limits.py              what a connection, a call and a message may take
    places.py              how many messages may arrive at a time
    wire.py                a message is counted before protobuf reads it
    rpcs.py                which path of `/v2` answers which call
    requests.py            messages as bodies of `/v2`
    answers.py             answers of `/v2` as messages
    statuses.py            the one table from errors to status codes of gRPC
    in_process.py          asks the door itself, without a connection

A call is turned into a request of HTTP and put to the door's own application, through its keys, limits, counters and
logs; nothing of them is here a second time. Tensors travel as bytes on both ways, so only the little JSON around them
is written and read for it.

Ray Serve has a gRPC ingress (`grpc_options`), which is not used: with it every replica, those of models too, opens a
server on all addresses of its machine, without keys and limits, and takes in messages before the door sees them.

Source of the messages and their numbers: grpc_service.proto and model_config.proto of Triton, of which
grpc_predict_v2.proto of the Open Inference Protocol is a part.
"""
