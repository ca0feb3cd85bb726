#include "tl/api/watch.h"

#include "tl/observe/explain.h"
#include "tl/observe/memory_report.h"
#include "tl/observe/observer_list.h"
#include "tl/observe/profile.h"
#include "tl/observe/sampling_log.h"
#include "tl/observe/timeline.h"
#include "tl/text/tokenizer/tokenizer.h"

namespace tl {

struct Watch::Observers {
  std::unique_ptr<Profile> profile;
  std::unique_ptr<Timeline> trace;
  std::unique_ptr<SamplingLog> sampling;
  std::unique_ptr<Explanation> explanation;
  CommandObservers commands;
  ExecObservers execs;

  template <typename T>
  void add_both(const std::unique_ptr<T>& one) {
    commands.add(one.get());
    execs.add(one.get());
  }
};

Watch::Watch(const WatchOptions& options, Device& device, const SourceFiles& files)
    : options_(options), device_(device), files_(files), observers_(std::make_unique<Observers>()) {}

Watch::~Watch() {
  device_.set_observer(nullptr);
}

Result<std::unique_ptr<Watch>> Watch::create(const WatchOptions& options, Device& device,
                                             const SourceFiles& files) {
  std::unique_ptr<Watch> watch(new Watch(options, device, files));
  Observers& o = *watch->observers_;
  if (options.memory) device.watch_memory();
  if (options.sampling && device.computes()) {
    o.sampling = std::make_unique<SamplingLog>(
        files, [w = watch.get()](i64 token, i64 vocabulary) { return w->piece(token, vocabulary); },
        [](const std::string& text) { std::fputs(text.c_str(), stderr); });
    o.commands.add(o.sampling.get());
  }
  if (!options.trace_path.empty()) {
    TL_TRY(o.trace, Timeline::create(options.trace_path, files));
    o.add_both(o.trace);
  }
  if (options.profile) {
    o.profile = std::make_unique<Profile>(device, files);
    o.add_both(o.profile);
  }
  if (options.explain) {
    o.explanation = std::make_unique<Explanation>(files);
    o.execs.add(o.explanation.get());
  }
  if (!o.commands.empty()) device.set_observer(&o.commands);
  return watch;
}

std::string Watch::explanation() const {
  return observers_->explanation ? observers_->explanation->text() : "";
}

ExecObserver* Watch::exec_observer() {
  return observers_->execs.empty() ? nullptr : &observers_->execs;
}

void Watch::opened(std::shared_ptr<const Tokenizer> tokenizer) {
  const std::lock_guard lock(mutex_);
  tokenizers_.push_back(std::move(tokenizer));
}

// Models may have more logits than their tokenizer has tokens. The tokenizer opened last is the likeliest.
std::optional<std::string> Watch::piece(i64 token, i64 vocabulary) {
  constexpr i64 kMostPadding = 1024;
  const std::lock_guard lock(mutex_);
  for (auto it = tokenizers_.rbegin(); it != tokenizers_.rend(); ++it) {
    const i64 size = (*it)->size();
    if (size > vocabulary || size + kMostPadding < vocabulary) continue;
    return token < size ? std::string((*it)->bytes(static_cast<TokenId>(token))) : std::string();
  }
  return std::nullopt;
}

Result<std::string> Watch::report(const ExecStats& stats) {
  std::string text;
  if (observers_->profile) text += observers_->profile->text();
  if (options_.memory) {
    text += memory_report(device_, files_);
    text += fmt::format(
        "plans: {} made, {} reused; {} commands in {} batches for {} nodes; {} calls replayed\n",
        stats.plans_made, stats.plans_reused, stats.commands, stats.batches, stats.nodes, stats.replays);
  }
  if (observers_->trace) TL_TRY_DO(observers_->trace->finish());
  return text;
}

}  // namespace tl
