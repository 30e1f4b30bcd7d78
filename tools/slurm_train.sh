#!/usr/bin/env bash
# Train (pre-training or fine-tuning) under Slurm, one task per GPU.
#
#   [GPUS=8] [GPUS_PER_NODE=8] [CPUS_PER_TASK=8] [SRUN_ARGS=...] \
#       tools/slurm_train.sh PARTITION JOB_NAME CONFIG [options of tools/train.py]
#
# Two minutes before the time limit Slurm sends SIGTERM: the run stops with a checkpoint, and the
# same command with --resume continues it.
set -euo pipefail

if [ "$#" -lt 3 ]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0"
    exit 2
fi
PARTITION=$1
JOB_NAME=$2
CONFIG=$3
shift 3
GPUS=${GPUS:-8}
GPUS_PER_NODE=${GPUS_PER_NODE:-$((GPUS < 8 ? GPUS : 8))}

# shellcheck disable=SC2086  # SRUN_ARGS is a list of words
exec srun --partition "$PARTITION" --job-name "$JOB_NAME" --signal TERM@120 \
    --gres "gpu:$GPUS_PER_NODE" --ntasks "$GPUS" --ntasks-per-node "$GPUS_PER_NODE" \
    --cpus-per-task "${CPUS_PER_TASK:-8}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    "${PYTHON:-python}" -u "$(dirname "$0")/train.py" "$CONFIG" --launcher slurm "$@"
