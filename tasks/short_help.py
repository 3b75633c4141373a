"""The options that people change; `--help-all` lists every other one."""

VERBS = """usage: hyperseq VERB [options]

  fit        train, then test the best weights; leaves runs/<name>/<number>/
  validate   score the weights of a run on the validation split
  test       score the weights of a run on the test split
  predict    predict new files, without labels, by a trained run
  export     write the network of a run as an ONNX file
  results    the table of what runs reached
  publish    keep the results of runs in results/, and their table in the README
  bench      many tasks and seeds, and their table beside published results
  data       fetch and verify a data set
  list       what there is: data sets, configs, networks

  hyperseq fit --config images/digits
  hyperseq test --config runs/digits/1/config.yaml
  hyperseq predict --run runs/digits/1 new.npy
  hyperseq results runs
  hyperseq data prepare images.mnist

hyperseq VERB --help lists the options of a verb; any key of a config is one, such as --model.lr 1e-3.
hyperseq --version tells the version.
"""

OPTIONS = """
  --config FILE                    a config: a file, or the name of a shipped one, such as images/digits; once or more
  --ckpt_path FILE                 weights: best, last or a file; with fit, the training that continues
  --seed_everything 0              seed of everything but the split
  --print_config                   show the whole configuration and stop

  --run.root runs                  folder of all runs
  --run.name NAME                  name of the run: <root>/<name>/<number>
  --run.num_threads 1              CPU threads
  --run.compile true               train by torch.compile
  --run.start_from FILE            start from the weights of the checkpoint of another run

  --trainer.max_epochs 20          epochs
  --trainer.accelerator auto       cpu, cuda, mps
  --trainer.precision 32-true      or bf16-mixed and others
  --trainer.gradient_clip_val 1.0  largest norm of the gradient
  --trainer.accumulate_grad_batches 1
  --trainer.limit_train_batches 1.0  share of an epoch, or a number of batches, for a trial

  --data CLASS                     data module by import path; --data.help CLASS lists its options
  --data.batch_size 32             samples a batch; so for every option of the data module
  --model.backbone CLASS           network by import path; --model.backbone.help CLASS lists its options
  --model.backbone.channels [8,16] so for every option of the network
  --model.head CLASS               head by import path
  --model.optimizer CLASS          optimizer by import path; AdamW by default
  --model.lr 1e-3                  peak learning rate; --model.slow_lr that of the slow networks
  --model.weight_decay 0.0         decay of the weights
  --model.schedule one_cycle       or cosine, constant; --model.warmup is the share of rising steps
  --model.label_smoothing 0.0      share of the target spread over all classes
  --model.class_weights balanced   rare classes count as much as frequent ones
  --model.ema_decay 0.999          average the weights

hyperseq {verb} --help-all lists every option of the trainer and the model.
"""

PURPOSES = {
    "fit": "Train, then test the best weights. The numbers are examples or defaults.",
    "validate": "Score the weights of a run on the validation split.",
    "test": "Score the weights of a run on the test split.",
}


def describe_options(verb: str) -> str:
    """Return the short help of a verb that trains or scores."""
    return f"usage: hyperseq {verb} --config FILE [options]\n\n{PURPOSES[verb]}\n" + OPTIONS.replace("{verb}", verb)
