#include "pipeline/estimate.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

namespace stylescope {
namespace {

using detail::concatenate;

std::string counted(int64_t number, const std::string& noun) {
  return number_words(static_cast<double>(number)) + " " + noun + (number == 1 ? "" : "s");
}
const char* bound(bool at_most) { return at_most ? "at most " : ""; }

class Estimator {
 public:
  Estimator(const StageWork& work, const JobShape& job, const MeasuredRates& rates,
            const std::vector<StepProfile::Message>& messages, double done)
      : work_(work), job_(job), rates_(rates), messages_(messages), done_(done) {
    result_.stage = work.stage;
    result_.work = work;
    result_.job = job;
    result_.at_most = work.amount.at_most || std::ranges::any_of(work.passes, [](const auto& p) {
                        return p.images.at_most;
                      });
  }

  StageEstimate estimate() {
    if (tell_work()) {
      if (const auto found = rates_.stages.find(work_.stage); found != rates_.stages.end())
        by_stage(found->second);
      else
        by_passes();
    }
    if (result_.seconds) {
      if (job_.gpus > 0)
        say(concatenate("GPU hours: ", time_words(*result_.seconds), " x ",
                        counted(job_.gpus * std::max<int64_t>(job_.shares, 1), "GPU"), " = ",
                        gpu_hours_words(*result_.gpu_hours())));
      check_limit();
    }
    return std::move(result_);
  }

 private:
  void say(std::string line) { result_.lines.push_back(std::move(line)); }

  // How many ranks have work at the same time.
  int64_t ranks() const {
    if (work_.pieces == 0) return 1;
    return job_.ranks * std::max<int64_t>(job_.shares, 1);
  }

  // False where it is not known.
  bool tell_work() {
    if (!work_.amount.value) {
      say("work: " + work_.amount.how);
      return false;
    }
    say(concatenate("work: ", bound(work_.amount.at_most),
                    amount_words(*work_.amount.value, work_.unit),
                    work_.amount.how.empty() ? "" : ": ", work_.amount.how));
    if (done_ > 0)
      say(concatenate("of these ", number_words(done_), " are done: ", number_words(left()),
                      " are left"));
    if (!work_.remark.empty()) say(work_.remark);
    for (const auto& [pass, images] : work_.passes) {
      if (images.value) continue;
      say("time: " + images.how);
      return false;
    }
    if (work_.pieces == 0 && job_.ranks > 1) say("one rank works, and the others of its job wait");
    return true;
  }

  double left() const { return std::max(0.0, *work_.amount.value - done_); }

  void by_stage(const StageRate& rate) {
    const double one = rate.of_one_rank();
    const bool same = ranks() == rate.ranks && rate.factor == 1 && work_.pieces == rate.pieces;
    if (same && rate.ranks > 1) {
      result_.efficiency = rate.efficiency;
      tell_rate(rate);
      say(concatenate("efficiency ", number_words(rate.efficiency),
                      ": as measured with as many ranks"));
    } else {
      tell_rate(rate);
      result_.efficiency = efficiency(1 / one, rate.hidden_share);
    }
    result_.seconds = left() / (one * static_cast<double>(ranks()) * result_.efficiency);
    say(concatenate("time: ", amount_words(left(), work_.unit), " / (", number_words(one), " ",
                    work_.unit, "/s a rank x ", counted(ranks(), "rank"), " x ",
                    number_words(result_.efficiency), ") = ", bound(result_.at_most),
                    time_words(*result_.seconds)));
    tell_differences(rate);
  }

  void tell_rate(const StageRate& rate) {
    std::string line = concatenate("rate: ", number_words(rate.per_second), " ", work_.unit,
                                   "/s with ", counted(rate.ranks, "rank"));
    if (rate.threads > 0) line += concatenate(" of ", counted(rate.threads, "thread"));
    line += ", " + rate.where;
    for (const auto& remark : rate.remarks) line += "; " + remark;
    if (rate.ranks > 1 || rate.factor != 1)
      line += concatenate("; ", number_words(rate.of_one_rank()), " ", work_.unit, "/s a rank");
    say(line);
  }

  void tell_differences(const StageRate& rate) {
    tell_device(rate.device);
    if (rate.device == "cpu" && job_.cpus > 0 && rate.threads > 0 && job_.cpus != rate.threads)
      say(concatenate("measured with ", counted(rate.threads, "thread"),
                      " a rank, and the job has ", job_.cpus, " cores a rank: not scaled"));
  }

  void tell_device(const std::string& device) {
    if (device.empty() || (job_.gpus > 0) == (device == "cuda") || work_.pieces == 0) return;
    result_.other_device = true;
    say(job_.gpus > 0 ? "measured on CPUs, and the job has GPUs: not scaled"
                      : "measured on GPUs, and the job has none: not scaled");
  }

  // Pass by pass, from what one rank takes for an image.
  void by_passes() {
    if (rates_.passes.empty()) return;
    auto all = work_.passes;
    all.insert(all.end(), work_.beside.begin(), work_.beside.end());
    if (all.empty())
      return say("time: not measured: it is no work of networks; a run has it (--rates RUN_DIR)");
    const double share = *work_.amount.value > 0 ? left() / *work_.amount.value : 0;
    double of_one = 0, ours = 0;
    std::set<Pass> told;
    std::string sum;
    for (const auto& [pass, images] : all) {
      if (!images.value) continue;  // beside the work
      const auto found = rates_.passes.find(pass);
      if (found == rates_.passes.end()) {
        if (is_beside(pass)) continue;
        return say(concatenate("time: not measured: ", name_of(pass)));
      }
      result_.at_most = result_.at_most || images.at_most;
      const double seconds = *images.value * share * found->second.seconds;
      of_one += seconds;
      if (is_step(pass)) ours = found->second.seconds;
      sum += concatenate(sum.empty() ? "" : " + ", number_words(*images.value * share),
                         " images x ", number_words(found->second.seconds * 1e3), " ms");
      if (told.insert(pass).second)
        say(concatenate("rate: ", number_words(found->second.seconds * 1e3), " ms an image, ",
                        name_of(pass), ": ", found->second.how));
    }
    tell_device(rates_.passes_device);
    result_.efficiency = efficiency(ours, 0);
    result_.seconds = of_one / (static_cast<double>(ranks()) * result_.efficiency);
    say(concatenate("time: (", sum, ") / (", counted(ranks(), "rank"), " x ",
                    number_words(result_.efficiency), ") = ", bound(result_.at_most),
                    time_words(*result_.seconds)));
  }

  bool is_beside(Pass pass) const {
    return std::ranges::none_of(work_.passes, [&](const auto& p) { return p.pass == pass; });
  }

  // `image`: seconds of a training image on one rank.
  double efficiency(double image, double hidden_share) {
    const int64_t n = ranks();
    if (n == 1) return 1;
    const double dealing = dealing_efficiency(work_.pieces, n);
    const std::string dealt =
        concatenate(counted(work_.pieces, work_.batch > 0          ? "group"
                                          : work_.unit == "slides" ? "slide"
                                                                   : "part"),
                    " on ", counted(n, "rank"), ", the busiest has ", (work_.pieces + n - 1) / n);
    if (work_.batch == 0) {
      say(concatenate("efficiency ", number_words(dealing), ": ", dealt));
      return dealing;
    }
    if (!rates_.network || messages_.empty()) {
      say(concatenate("efficiency ", number_words(dealing), ": ", dealt,
                      "; ideal scaling assumed: no measured all_reduce given"));
      return dealing;
    }
    const StepProfile profile{image * static_cast<double>(work_.batch), work_.pieces, hidden_share,
                              messages_};
    // As many on each node, the last one perhaps not full.
    const int64_t a_node = (n + job_.nodes - 1) / job_.nodes;
    const auto p = predict(profile, *rates_.network, job_.nodes, a_node);
    const double result =
        p.strong_efficiency * static_cast<double>(job_.nodes * a_node) / static_cast<double>(n);
    say(concatenate("efficiency ", number_words(result), ": ", dealt, "; a step computes for ",
                    number_words((p.strong_step - p.strong_exposed) * 1e3), " ms and waits ",
                    number_words(p.strong_exposed * 1e3), " ms for all_reduces of ",
                    number_words(p.transfer * 1e3), " ms (", rates_.network_how, ")"));
    return result;
  }

  void check_limit() {
    if (job_.limit == 0) return;
    const double useful = static_cast<double>(job_.limit) - job_.signal;
    if (*result_.seconds <= useful) return;
    std::string text =
        concatenate(work_.stage, ": ", bound(result_.at_most), time_words(*result_.seconds),
                    result_.at_most ? " may not fit" : " do not fit", " in the time limit of ",
                    time_words(static_cast<double>(job_.limit)));
    if (work_.goes_on && useful > 0) {
      const auto sessions = static_cast<int64_t>(std::ceil(*result_.seconds / useful));
      text += concatenate(
          ": ", counted(sessions, "session"), ", so ", counted(sessions - 1, "restart"), " (",
          time_words(*result_.seconds), " / (", time_words(static_cast<double>(job_.limit)), " - ",
          time_words(job_.signal), " for the last checkpoint)); it goes on by itself");
      if (job_.sessions > 0 && sessions > job_.sessions)
        text += concatenate(", but only ", job_.sessions, " times (slurm.restarts)");
    } else {
      text += ", and it keeps no checkpoint: every session starts anew; raise slurm.stages." +
              work_.stage + ".time";
    }
    result_.warnings.push_back(text);
  }

  const StageWork& work_;
  const JobShape& job_;
  const MeasuredRates& rates_;
  const std::vector<StepProfile::Message>& messages_;
  double done_;
  StageEstimate result_;
};

}  // namespace

std::optional<double> StageEstimate::gpu_hours() const {
  if (!seconds) return std::nullopt;
  return *seconds / 3600 * static_cast<double>(job.gpus * std::max<int64_t>(job.shares, 1));
}

JobShape job_shape(const PlannedStage& stage) {
  const auto& r = stage.script.resources;
  JobShape job;
  job.ranks = r.rank_count();
  job.nodes = std::max<int64_t>(r.nodes, 1);
  job.gpus = r.gpu_count();
  job.cpus = r.cpus_per_task;
  job.shares =
      stage.array > 0 && r.array_limit > 0 ? std::min(stage.array, r.array_limit) : stage.array;
  job.limit = seconds_of(r.time, "slurm: time of " + stage.script.stage);
  job.signal = stage.script.signal_seconds;
  return job;
}

std::vector<StepProfile::Message> step_messages(const BenchNetworks& networks,
                                                const std::string& stage, int64_t element_size) {
  const auto& gan = networks.gan;
  const auto lazily = [](bool runs, int64_t interval) {
    return runs && interval > 0 ? 1 / static_cast<double>(interval) : 0.0;
  };
  std::map<std::string, double> per_step;  // by network
  if (stage == "gan")
    per_step = {{"G", 1 + lazily(gan.path_length_weight > 0, gan.path_length_interval)},
                {"D", 1 + lazily(gan.r1_gamma != 0, gan.r1_interval)}};
  else
    per_step = {{stage, 1}};
  const double width =
      networks.reduction.wire == "bfloat16" ? 2 : static_cast<double>(element_size);
  std::vector<StepProfile::Message> messages;
  if (stage != "gan" && stage != "classifier" && stage != "encoder") return messages;
  for (const auto& network : gradient_messages(networks, element_size))
    if (const auto found = per_step.find(network.network); found != per_step.end())
      for (const auto count : network.counts)
        messages.push_back({static_cast<double>(count) * width, found->second});
  return messages;
}

StageEstimate estimate_stage(const StageWork& work, const JobShape& job, const MeasuredRates& rates,
                             const std::vector<StepProfile::Message>& messages, double done) {
  return Estimator(work, job, rates, messages, done).estimate();
}

LongestPath longest_path(const std::vector<StageEstimate>& stages,
                         const std::map<std::string, std::vector<std::string>>& inputs) {
  std::map<std::string, LongestPath> to;
  LongestPath longest;
  for (const auto& stage : stages) {
    LongestPath path;
    if (const auto found = inputs.find(stage.stage); found != inputs.end())
      for (const auto& input : found->second)
        if (to.contains(input) && to[input].seconds >= path.seconds) path = to[input];
    path.seconds += stage.seconds.value_or(0);
    path.stages.push_back(stage.stage);
    to[stage.stage] = path;
    if (path.seconds >= longest.seconds) longest = path;
  }
  return longest;
}

std::string gpu_hours_words(double hours) {
  return hours > 0 && hours < 0.01 ? "below 0.01" : number_words(hours);
}

std::string time_words(double seconds) {
  if (seconds > 0 && seconds < 0.01) return "below 0.01 s";
  if (seconds < 59.95) return number_words(seconds) + " s";
  if (seconds < 3597) return number_words(seconds / 60) + " min";
  return number_words(seconds / 3600) + " h";
}

}  // namespace stylescope
