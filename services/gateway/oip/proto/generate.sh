#!/bin/sh
# Writes inference_pb2*.py anew from inference.proto; run from the root of the repository, where grpcio-tools is installed.
set -eu
folder=services/gateway/oip/proto
python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --grpc_python_out=. $folder/inference.proto
# A descriptor pool of its own, so that another library with the same messages, such as tritonclient, fits in the process.
sed -i 's/_descriptor_pool\.Default()/_descriptor_pool.DescriptorPool()/' $folder/inference_pb2.py
