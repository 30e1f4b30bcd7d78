#!/usr/bin/env bash
# Train (pre-training or fine-tuning) with several processes on this machine, one per GPU (or CPU processes without GPUs).
#
#   tools/dist_train.sh CONFIG PROCESSES [options of tools/train.py]
#
# Several machines: run it on each with NNODES, NODE_RANK, MASTER_ADDR (and MASTER_PORT) set.
set -euo pipefail

if [ "$#" -lt 2 ]; then
    sed -n '2,6s/^# \{0,1\}//p' "$0"
    exit 2
fi
CONFIG=$1
PROCESSES=$2
shift 2

if [ "${NNODES:-1}" -gt 1 ]; then
    RENDEZVOUS=(--nnodes "$NNODES" --node_rank "$NODE_RANK" --master_addr "$MASTER_ADDR"
        --master_port "${MASTER_PORT:-29500}")
else
    RENDEZVOUS=(--standalone)
fi

exec "${PYTHON:-python}" -m torch.distributed.run "${RENDEZVOUS[@]}" --nproc_per_node "$PROCESSES" \
    "$(dirname "$0")/train.py" "$CONFIG" --launcher pytorch "$@"
