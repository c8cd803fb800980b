#include "pipeline/estimate.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

namespace stylescope {
namespace {

using detail::concatenate;

std::string counted(int64_t number, const std::string& noun) {
  return number_words(static_cast<double>(number)) + " " + noun + (number == 1 ? "" : "s");
}

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
      const auto found = rates_.stages.find(work_.stage);
      if (found != rates_.stages.end() && !passes_come_first(found->second))
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
    say(concatenate("work: ", work_.amount.at_most ? "at most " : "",
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

  // Does a source that was named before that of the stage's rate have all of its passes?
  bool passes_come_first(const StageRate& rate) {
    const bool first =
        !work_.passes.empty() && std::ranges::all_of(work_.passes, [&](const auto& p) {
          const auto found = rates_.passes.find(p.pass);
          return found != rates_.passes.end() && found->second.source < rate.source;
        });
    if (first) say(concatenate(rate.where, " has a rate too; what is named first counts"));
    return first;
  }

  void by_stage(const StageRate& rate) {
    const double one = rate.of_one_rank();
    const bool same = ranks() == rate.ranks && rate.factor == 1 && work_.pieces == rate.pieces;
    tell_rate(rate);
    if (same && rate.ranks > 1) {
      result_.efficiency = rate.efficiency;
      say(concatenate("efficiency ", number_words(rate.efficiency),
                      ": as measured with as many ranks"));
    } else {
      result_.efficiency = efficiency(1 / one, rate.hidden_share, rate.waiting_inside);
    }
    tell_root(rate);
    const double work = left() / (one * static_cast<double>(ranks()) * result_.efficiency);
    result_.seconds = work + rate.outside_seconds;
    say(concatenate(
        "time: ", amount_words(left(), work_.unit), " / (", number_words(one), " ", work_.unit,
        "/s a rank x ", counted(ranks(), "rank"), " x ", number_words(result_.efficiency),
        ") = ", rate.outside_seconds > 0 ? "" : bound_words(result_), time_words(work)));
    if (rate.outside_seconds > 0)
      say(concatenate("outside of the steps: ", time_words(rate.outside_seconds),
                      " (reading, measuring at the end, writing), as there and not scaled; "
                      "together ",
                      bound_words(result_), time_words(*result_.seconds)));
    result_.other_networks = rate.far();
    tell_differences(rate);
  }

  // A part that the root does alone is in a rate of the whole stage, but nobody knows its share.
  void tell_root(const StageRate& rate) {
    if (work_.of_root.empty()) return;
    if (rate.under_way) return leave_out(work_.of_root + " (the root's alone)");
    if (ranks() == rate.ranks) return;
    result_.ideal = true;
    say(concatenate("the rate has ", work_.of_root,
                    " in it, which the root does alone: that part does not scale with the ranks, "
                    "and is not told apart"));
  }

  void leave_out(const std::string& what) {
    result_.at_least = true;
    const std::string line = "at least: without " + what + ", not measured";
    if (std::ranges::find(result_.lines, line) == result_.lines.end()) say(line);
  }

  void tell_rate(const StageRate& rate) {
    std::string line = concatenate("rate: ", number_words(rate.per_second), " ", work_.unit,
                                   "/s with ", counted(rate.ranks, "rank"));
    if (rate.threads > 0) line += concatenate(" of ", counted(rate.threads, "thread"));
    line += ", " + rate.where;
    for (const auto& remark : rate.remarks) line += "; " + remark;
    if (rate.waiting_inside) line += "; waiting for gradients is in this rate, not told apart";
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
    if (!std::exchange(result_.other_device, true))
      say(job_.gpus > 0 ? "measured on CPUs, and the job has GPUs: not scaled"
                        : "measured on GPUs, and the job has none: not scaled");
  }

  // What stands in the way of a time by passes, or "".
  std::string not_measured() const {
    if (work_.passes.empty() && work_.beside.empty())
      return ": it is no work of networks; a run has it (--rates RUN_DIR)";
    const auto known = [&](const auto& p) { return rates_.passes.contains(p.pass); };
    if (std::ranges::none_of(work_.passes, known)) return " for this stage";
    const auto missing = std::ranges::find_if_not(work_.passes, known);
    return missing == work_.passes.end() ? "" : std::string(": ") + name_of(missing->pass);
  }

  // Pass by pass, from what one rank takes for an image.
  void by_passes() {
    if (const auto why = not_measured(); !why.empty()) return say("time: not measured" + why);
    const double share = *work_.amount.value > 0 ? left() / *work_.amount.value : 0;
    double of_one = 0;
    const PassRate* step = nullptr;
    std::set<Pass> told;
    std::string sum;
    const auto add = [&](const PassCount& count) {
      const auto& [pass, images] = count;
      const auto found = rates_.passes.find(pass);
      if (!images.value || found == rates_.passes.end())
        return leave_out(concatenate(name_of(pass), " beside the steps"));
      const PassRate& rate = found->second;
      result_.at_most = result_.at_most || images.at_most;
      result_.few_calls = result_.few_calls || rate.rough;
      of_one += *images.value * share * rate.seconds;
      if (is_step(pass)) step = &rate;
      sum += concatenate(sum.empty() ? "" : " + ", number_words(*images.value * share),
                         " images x ", number_words(rate.seconds * 1e3), " ms");
      if (!told.insert(pass).second) return;
      say(concatenate("rate: ", number_words(rate.seconds * 1e3), " ms an image, ", name_of(pass),
                      ": ", rate.how));
      tell_device(rate.device);
    };
    std::ranges::for_each(work_.passes, add);
    std::ranges::for_each(work_.beside, add);
    if (!work_.of_root.empty()) leave_out(work_.of_root + " (the root's alone)");
    if (!work_.in_no_pass.empty()) leave_out(work_.in_no_pass);
    result_.efficiency = step ? efficiency(step->seconds, step->hidden_share, step->waiting_inside)
                              : efficiency(0, 0, false);
    result_.seconds = of_one / (static_cast<double>(ranks()) * result_.efficiency);
    say(concatenate("time: (", sum, ") / (", counted(ranks(), "rank"), " x ",
                    number_words(result_.efficiency), ") = ", bound_words(result_),
                    time_words(*result_.seconds)));
  }

  std::string dealt_words() const {
    const char* piece = work_.batch > 0 ? "group" : work_.unit == "slides" ? "slide" : "part";
    return concatenate(counted(work_.pieces, piece), " on ", counted(ranks(), "rank"),
                       ", the busiest has ", (work_.pieces + ranks() - 1) / ranks());
  }

  // `image`: seconds of a training image on one rank. `waiting_inside`: and what it waits for.
  double efficiency(double image, double hidden_share, bool waiting_inside) {
    const int64_t n = ranks();
    if (n == 1 && !waiting_inside) return 1;
    const double dealing = dealing_efficiency(work_.pieces, n);
    std::string how;
    if (work_.batch > 0 && waiting_inside)
      how = "; no all_reduces added: the measured ones are in the rate, not told apart";
    else if (work_.batch > 0 && (!rates_.network || messages_.empty()))
      how = "; ideal scaling assumed: no measured all_reduce given";
    else if (work_.batch > 0)
      return modelled_efficiency(image, hidden_share);
    result_.ideal = result_.ideal || !how.empty();
    say(concatenate("efficiency ", number_words(dealing), ": ", dealt_words(), how));
    return dealing;
  }

  double modelled_efficiency(double image, double hidden_share) {
    const StepProfile profile{image * static_cast<double>(work_.batch), work_.pieces, hidden_share,
                              messages_};
    const auto p = predict_ranks(profile, *rates_.network, job_.nodes, ranks());
    say(concatenate("efficiency ", number_words(p.strong_efficiency), ": ", dealt_words(),
                    "; a step computes for ",
                    number_words((p.strong_step - p.strong_exposed) * 1e3), " ms and waits ",
                    number_words(p.strong_exposed * 1e3), " ms for all_reduces of ",
                    number_words(p.transfer * 1e3), " ms (", number_words(100 * hidden_share),
                    " % hidden; ", rates_.network_how, ")"));
    return p.strong_efficiency;
  }

  void check_limit() {
    if (job_.limit == 0) return;
    const double useful = static_cast<double>(job_.limit) - job_.signal;
    if (*result_.seconds <= useful) return;
    std::string text =
        concatenate(work_.stage, ": ", bound_words(result_), time_words(*result_.seconds),
                    result_.at_most ? " may not fit" : " do not fit", " in the time limit of ",
                    time_words(static_cast<double>(job_.limit)));
    if (work_.goes_on && useful > 0) {
      const auto sessions = static_cast<int64_t>(std::ceil(*result_.seconds / useful));
      text += concatenate(
          ": ", counted(sessions, "session"), ", so ", counted(sessions - 1, "restart"), " (",
          time_words(*result_.seconds), " / (", time_words(static_cast<double>(job_.limit)), " - ",
          time_words(job_.signal), " for the last checkpoint)); it goes on by itself");
      if (job_.restarts && sessions - 1 > *job_.restarts)
        text += *job_.restarts == 0 ? ", but no restart is allowed (slurm.restarts)"
                                    : concatenate(", but only ", counted(*job_.restarts, "restart"),
                                                  " may follow (slurm.restarts)");
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
  std::vector<std::pair<std::string, double>> per_step;  // by network
  if (stage == "gan")
    per_step = {{"G", 1 + lazily(gan.path_length_weight > 0, gan.path_length_interval)},
                {"D", 1 + lazily(gan.r1_gamma != 0, gan.r1_interval)}};
  else
    per_step = {{stage, 1}};
  const double width =
      networks.reduction.wire == "bfloat16" ? 2 : static_cast<double>(element_size);
  std::vector<StepProfile::Message> messages;
  if (stage != "gan" && stage != "classifier" && stage != "encoder") return messages;
  for (const auto& [network, times] : per_step)
    for (const auto count : gradient_messages_of(networks, network, element_size).counts)
      messages.push_back({static_cast<double>(count) * width, times});
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

const char* bound_words(const StageEstimate& stage) {
  if (stage.at_most && stage.at_least) return "about ";
  return stage.at_most ? "at most " : stage.at_least ? "at least " : "";
}

std::string gpu_hours_words(double hours) {
  return hours > 0 && hours < 0.01 ? "below 0.01" : number_words(hours);
}

std::string time_words(double seconds) {
  if (seconds > 0 && seconds < 1e-4) return "below 0.0001 s";
  if (seconds < 59.95) return number_words(seconds) + " s";
  if (seconds < 3597) return number_words(seconds / 60) + " min";
  return number_words(seconds / 3600) + " h";
}

}  // namespace stylescope
