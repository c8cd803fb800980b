#include "io/base/error.hpp"
#include "pipeline/bench.hpp"
#include "pipeline/command.hpp"
#include "pipeline/config.hpp"
#include "pipeline/number_list.hpp"
#include "pipeline/scale_jobs.hpp"
#include "stages/networks/layers.hpp"

#include <functional>
#include <iostream>
#include <memory>

namespace stylescope {
namespace {

struct BenchCommand {
  bool json = false;
  double seconds = 2;
  int64_t threads = 0;
  std::string device = "auto", precision = "float32", dir, slide, config, out;
  OpsBench ops;
  TrainBench train;
  GenerateBench generate;
  LoaderBench loader;
  TileBench tile;
  CommBench comm;
  ScaleBench scale;
  ScaleJobs scale_jobs;
  bool submit = false;
  std::string nodes, ranks, collate;
  // Of the benchmark that was named.
  std::function<void()> check;
  std::function<BenchReport(const Launch&)> chosen;

  void run(Communicator& world) const {
    if (!chosen) return;  // it was no measurement
    StopSignal stop(StopSignal::Hearing::deaf);
    const Launch at = launch(world, stop, device, precision, threads);
    const BenchReport report = chosen(at);
    const auto document = to_json(report, at);
    if (world.is_root())
      std::cout << (json ? document.dump(2) + "\n" : to_table(report, document)) << std::flush;
    validate(report.wrong() == 0, "bench ", report.name, ": ", report.wrong(),
             " results are wrong (column #wrong); do not trust this build or this machine, run the "
             "tests");
  }
};

using Shared = std::shared_ptr<BenchCommand>;

CLI::Option* number(CLI::App* app, const char* name, int64_t& value, int64_t least, int64_t most,
                    const char* help) {
  return app->add_option(name, value, help)->check(CLI::Range(least, most))->capture_default_str();
}

// A benchmark as a subcommand, with the options that all of them have.
CLI::App* add_benchmark(CLI::App& app, const Shared& command, const char* name, const char* help,
                        std::function<BenchReport(const Launch&)> run,
                        std::function<void()> check = {},
                        const std::vector<std::string>& precisions = {"float32", "float64"}) {
  CLI::App* sub = app.add_subcommand(name, help);
  sub->add_flag("--json", command->json, "one JSON object instead of a table");
  sub->add_option("--seconds", command->seconds, "time for each measurement")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  sub->add_option("--threads", command->threads, "CPU threads a rank; 0: shared out")
      ->check(CLI::Range(0, 4096));
  sub->add_option("--device", command->device)
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  sub->add_option("--precision", command->precision)
      ->check(CLI::IsMember(precisions))
      ->capture_default_str();
  sub->callback([command = command.get(), run, check] {
    command->chosen = run;
    command->check = check;
  });
  return sub;
}

template <class Networks>
void add_network_options(CLI::App* app, Networks& bench) {
  number(app, "--resolution", bench.resolution, 8, 1024, "of the images, a power of two");
  number(app, "--channel-base", bench.channel_base, 1, 1 << 20, "channels at r: at most this / r");
  number(app, "--channel-max", bench.channel_max, 1, 1 << 16, "channels at most");
  number(app, "--channels", bench.image_channels, 1, 64, "of the images");
  number(app, "--mapping-layers", bench.mapping_layers, 1, 64, "of the mapping network");
}

template <class Networks>
void add_ops_option(CLI::App* sub, Networks& bench) {
  sub->add_option_function<std::string>(
         "--ops",
         [&bench](const std::string& name) {
           bench.compared = name == "fast"        ? Compared::fast
                            : name == "reference" ? Compared::reference
                                                  : Compared::both;
         },
         "fast, reference (plain LibTorch operations), or both in turn (default)")
      ->check(CLI::IsMember({"fast", "reference", "both"}));
}

// Types of --precision that are of the features alone: weights stay float32.
std::optional<torch::Dtype> half_of(const std::string& precision) {
  if (precision == "bfloat16") return torch::kBFloat16;
  if (precision == "float16") return torch::kFloat16;
  return {};
}
const std::vector<std::string> kAnyPrecision{"float32", "float64", "bfloat16", "float16"};

template <class Networks>
void check_networks(const Networks& bench) {
  if ((bench.resolution & (bench.resolution - 1)) != 0)
    throw UsageError(detail::concatenate("--resolution ", bench.resolution,
                                         ": is no power of two; give one from 8 to 1024"));
  if (channels_at(bench.resolution, bench.channel_base, bench.channel_max) < 1)
    throw UsageError(detail::concatenate("--channel-base ", bench.channel_base,
                                         ": leaves no channel at resolution ", bench.resolution,
                                         "; raise it"));
}

void add_ops(CLI::App& app, const Shared& c) {
  auto* sub =
      add_benchmark(app, c, "ops", "operators beside their plain formulation",
                    [c = c.get()](const Launch& at) { return bench_ops(c->ops, at, c->seconds); });
  number(sub, "--batch", c->ops.batch, 1, 65536, "images on a rank");
  number(sub, "--channels", c->ops.channels, 1, 65536, "of the images");
  number(sub, "--resolution", c->ops.resolution, 4, 4096, "of the images");
}

void add_training_options(CLI::App* app, TrainBench& bench, const char* batch) {
  add_network_options(app, bench);
  number(app, "--batch", bench.batch, 1, 65536, batch);
  app->add_option("--depth", bench.depth, "of the ResNet")
      ->check(CLI::IsMember({18, 34, 50}))
      ->capture_default_str();
  number(app, "--width", bench.width, 1, 4096, "of the ResNet");
}

void add_train(CLI::App& app, const Shared& c) {
  auto* sub = add_benchmark(
      app, c, "train", "training steps of the GAN, by phase, and of a ResNet",
      [c = c.get()](const Launch& at) { return bench_train(c->train, at, c->seconds); },
      [c = c.get()] {
        check_networks(c->train);
        c->train.half = half_of(c->precision);
      },
      kAnyPrecision);
  add_ops_option(sub, c->train);
  sub->add_flag("--profile", c->train.profile,
                "where the time of an iteration goes, too (on the CPU)");
  add_training_options(sub, c->train, "images a step, of all ranks together");
}

// Those of the configuration, if one is named.
BenchNetworks chosen_networks(const BenchCommand& c) {
  if (!c.config.empty()) return networks_of(load_config(c.config, {}));
  check_networks(c.train);
  return networks_of(c.train);
}

void add_generate_bench(CLI::App& app, const Shared& c) {
  auto* sub = add_benchmark(
      app, c, "generate", "images from a generator: latency and rate",
      [c = c.get()](const Launch& at) { return bench_generate(c->generate, at, c->seconds); },
      [c = c.get()] {
        check_networks(c->generate);
        c->generate.half = half_of(c->precision);
      },
      kAnyPrecision);
  add_network_options(sub, c->generate);
  add_ops_option(sub, c->generate);
  number(sub, "--batch", c->generate.batch, 1, 65536, "images at a time on a rank");
}

void add_loader(CLI::App& app, const Shared& c) {
  auto* sub = add_benchmark(
      app, c, "loader", "shuffled reads from an image set",
      [c = c.get()](const Launch& at) { return bench_loader(c->loader, at, c->seconds); },
      [c = c.get()] { c->loader.dir = c->dir; });
  number(sub, "--images", c->loader.images, 1, 1 << 24, "in the file of a rank");
  number(sub, "--batch", c->loader.batch, 1, 65536, "images in a read");
  number(sub, "--resolution", c->loader.resolution, 1, 4096, "of the images");
  number(sub, "--channels", c->loader.image_channels, 1, 64, "of the images");
  sub->add_option("--gigabytes", c->loader.gigabytes, "of pixels, instead of --images")
      ->check(CLI::Range(0.0, 1e6));
  sub->add_option("--dir", c->dir, "where the files are made, for a while (default: TMPDIR)");
}

void add_tile(CLI::App& app, const Shared& c) {
  auto* sub = add_benchmark(
      app, c, "tile", "a slide's way to HDF5 beside a bare loop over OpenSlide",
      [c = c.get()](const Launch& at) { return bench_tile(c->tile, at, c->seconds); },
      [c = c.get()] {
        c->tile.slide = c->slide;
        c->tile.dir = c->dir;
        if ((c->tile.tile_px & (c->tile.tile_px - 1)) != 0)
          throw UsageError(detail::concatenate("--tile-px ", c->tile.tile_px,
                                               ": is no power of two; give one from 16 to 1024"));
        if (!c->slide.empty() && !std::filesystem::exists(c->slide))
          throw UsageError(c->slide + ": is not there; give another --slide");
      });
  sub->add_option("--slide", c->slide, "a slide of yours (default: one is drawn)");
  number(sub, "--size", c->tile.size, 512, 1 << 17, "rows and columns of the drawn slide");
  number(sub, "--tile-px", c->tile.tile_px, 16, 1024, "rows and columns of a tile");
  sub->add_option("--dir", c->dir, "where files are made, for a while (default: TMPDIR)");
}

void add_comm(CLI::App& app, const Shared& c) {
  auto* sub = add_benchmark(
      app, c, "comm", "collectives between the ranks (start with mpirun or srun)",
      [c = c.get()](const Launch& at) { return bench_comm(c->comm, at, c->seconds); },
      [c = c.get()] {
        if (c->comm.min_bytes > c->comm.max_bytes)
          throw UsageError(detail::concatenate("--min-bytes ", c->comm.min_bytes,
                                               ": is more than --max-bytes ", c->comm.max_bytes,
                                               "; exchange them"));
        c->comm.networks = chosen_networks(*c);
      });
  constexpr int64_t most = int64_t{1} << 34;
  number(sub, "--min-bytes", c->comm.min_bytes, 8, most, "smallest message");
  number(sub, "--max-bytes", c->comm.max_bytes, 8, most, "largest message");
  number(sub, "--factor", c->comm.factor, 2, 1024, "from one size to the next");
  sub->add_option("--collective", c->comm.collectives, "these alone, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(
          CLI::IsMember({"all_reduce", "broadcast", "all_gather", "reduce_scatter", "barrier"}));
  sub->add_option("--type", c->comm.type, "of the elements (default: as --precision)")
      ->check(CLI::IsMember({"float32", "float64", "bfloat16"}));
  sub->add_option("--config", c->config,
                  "send the gradients of this configuration's networks, too (default: those of "
                  "bench train)");
}

// What a job is told of the options: all but the places.
std::vector<std::string> words_of(const BenchCommand& c) {
  const auto text = [](auto value) { return detail::concatenate(value); };
  std::vector<std::string> words{"--seconds",   text(c.seconds), "--device",  c.device,
                                 "--precision", c.precision,     "--threads", text(c.threads)};
  const auto add = [&](const char* option, auto value, auto usual) {
    if (value != usual) words.insert(words.end(), {option, text(value)});
  };
  const TrainBench usual;
  if (c.config.empty()) {
    words.insert(words.end(), {"--resolution", text(c.train.resolution), "--batch",
                               text(c.train.batch), "--depth", text(c.train.depth)});
    add("--channel-base", c.train.channel_base, usual.channel_base);
    add("--channel-max", c.train.channel_max, usual.channel_max);
    add("--channels", c.train.image_channels, usual.image_channels);
    add("--mapping-layers", c.train.mapping_layers, usual.mapping_layers);
    add("--width", c.train.width, usual.width);
  }
  return words;
}

// What a job and the report are told of the network to predict for.
std::vector<std::string> words_of(const AskedNetwork& asked) {
  std::vector<std::string> words;
  const auto add = [&](const char* option, auto value) {
    if (value > 0) words.insert(words.end(), {option, detail::concatenate(value)});
  };
  add("--latency-us", asked.latency_us);
  add("--bandwidth-gbs", asked.bandwidth_gbs);
  add("--ranks-per-node", asked.ranks_per_node);
  return words;
}

void check_submission(const BenchCommand& c) {
  if (c.nodes.empty())
    throw UsageError("bench scale --submit: on how many nodes is not said; give --nodes 1,2,4");
  if (!c.ranks.empty())
    throw UsageError(
        "bench scale --submit: --ranks says nothing here, as each job measures on all of its "
        "ranks; "
        "leave it out, or give --tasks-per-node");
  if (c.json)
    throw UsageError(
        "bench scale --submit: --json is of measurements, which jobs make later; leave it out, and "
        "read scale.json in the folder --out then");
  if (c.config.empty()) check_networks(c.train);
}

// Jobs and reports of jobs are work of one process.
bool is_no_measurement(BenchCommand& c) {
  if (!c.submit && c.collate.empty()) return false;
  c.chosen = {};
  if (launched_as_rank() && launched_rank() > 0) return true;
  if (!c.submit) {
    collate_scale(c.collate, c.scale.asked, c.json);
    return true;
  }
  check_submission(c);
  c.scale_jobs.nodes = c.nodes;
  c.scale_jobs.folder = c.out.empty() ? "bench-scale" : c.out;
  c.scale_jobs.config = c.config;
  c.scale_jobs.seconds = c.seconds;
  c.scale_jobs.words = words_of(c);
  c.scale_jobs.prediction = words_of(c.scale.asked);
  submit_scale(c.scale_jobs);
  return true;
}

void add_job_options(CLI::App* sub, BenchCommand& c) {
  auto& jobs = c.scale_jobs;
  auto* submit = sub->add_flag("--submit", c.submit,
                               "as Slurm jobs, one for each of --nodes, and one report of all");
  const auto text = [&](const char* name, std::string& value, const char* help) {
    sub->add_option(name, value, help)->needs(submit);
  };
  const auto count = [&](const char* name, int64_t& value, const char* help) {
    sub->add_option(name, value, help)->check(CLI::Range(1, 1 << 20))->needs(submit);
  };
  text("--nodes", c.nodes, "numbers of nodes: 1,2,4,8");
  text("--site", jobs.site, "site profile: a name in slurm/sites, or a file");
  sub->add_flag("--dry-run", jobs.dry_run, "print the scripts, and submit nothing")->needs(submit);
  count("--tasks-per-node", jobs.own.tasks_per_node, "ranks on each node");
  count("--cpus-per-task", jobs.own.cpus_per_task, "cores a rank");
  count("--gpus-per-node", jobs.own.gpus_per_node, "GPUs on each node");
  text("--time", jobs.own.time, "limit of a job (default: what the measurements take)");
  text("--partition", jobs.own.partition, "of the cluster");
  text("--account", jobs.own.account, "that pays");
  sub->add_option("--sbatch", jobs.own.options, "further option of sbatch; may be repeated")
      ->allow_extra_args(false)
      ->needs(submit);
  sub->add_option("--collate", c.collate,
                  "makes the report of a folder of --submit again, of what is there")
      ->excludes(submit);
}

void add_scale(CLI::App& app, const Shared& c) {
  auto* sub = add_benchmark(
      app, c, "scale", "training steps on 1, 2, 3, 4, 8, ... of the ranks, and on 1024 nodes",
      [c = c.get()](const Launch& at) { return bench_scale(c->scale, at, c->seconds); },
      [c = c.get()] {
        if (is_no_measurement(*c)) return;
        c->scale.networks = chosen_networks(*c);
        c->scale.out = c->out;
        if (!c->ranks.empty()) c->scale.ranks = parse_numbers("--ranks", c->ranks);
      });
  add_training_options(sub, c->train, "images a step: of each rank (weak), of all (strong)");
  sub->add_option("--config", c->config, "networks and batches of this configuration, instead");
  sub->add_option("--out", c->out,
                  "a folder for scale.html, the page with the plots (--submit: bench-scale)");
  sub->add_option("--ranks", c->ranks,
                  "so many of the ranks, and one (default: 1, 2, 3, 4, 8, ... and all)");
  sub->add_option("--latency-us", c->scale.asked.latency_us,
                  "predict for this network: time of a short message (default: as measured)")
      ->check(CLI::Range(0.0, 1e6));
  sub->add_option("--bandwidth-gbs", c->scale.asked.bandwidth_gbs,
                  "and for this bandwidth of a node, 10^9 bytes a second")
      ->check(CLI::Range(0.0, 1e5));
  sub->add_option("--ranks-per-node", c->scale.asked.ranks_per_node,
                  "in the prediction (default: 1; in a report over nodes: as measured)")
      ->check(CLI::Range(1, 1024));
  add_job_options(sub, *c);
}

}  // namespace

Task add_bench(CLI::App& app) {
  auto command = std::make_shared<BenchCommand>();
  app.require_subcommand(1);
  add_ops(app, command);
  add_train(app, command);
  add_generate_bench(app, command);
  add_loader(app, command);
  add_tile(app, command);
  add_comm(app, command);
  add_scale(app, command);
  return {[command] {
            if (command->check) command->check();
          },
          [command](Communicator& world) { command->run(world); }};
}

}  // namespace stylescope
