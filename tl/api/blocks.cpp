#include "tl/api/blocks.h"

#include <algorithm>
#include <chrono>
#include <unordered_map>

#include "tl/api/trace_text.h"
#include "tl/builtins/context.h"
#include "tl/diag/print.h"
#include "tl/interp/instance.h"

namespace tl {
namespace {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Holds what a bench computes and nobody reads, while it lasts: what nobody holds is not computed, and a
// bench that is written plainly, `bench product { w @ w }`, would be the time of writing it down.
class HoldResults : public RecordObserver {
 public:
  explicit HoldResults(Recorder& recorder) : recorder_(recorder), before_(recorder.set_observer(this)) {}
  ~HoldResults() override { recorder_.set_observer(before_); }
  HoldResults(const HoldResults&) = delete;

  void recorded(const Node& node) override {
    for (const Tensor& input : node.inputs) results_.erase(input.node());
    results_.emplace(&node, Tensor(const_cast<Node*>(&node)));
  }
  void made(const Tensor&) override {}
  void materialised(const Tensor&, const Tensor&) override {}
  void looked() override {}

  Result<void> wait(Executor& executor) const {
    std::vector<Tensor> all;
    for (const auto& [node, result] : results_) all.push_back(result);
    std::sort(all.begin(), all.end(),
              [](const Tensor& a, const Tensor& b) { return a->sequence < b->sequence; });
    TL_TRY_DO(executor.submit(all));
    for (const Tensor& result : all) TL_TRY_DO(executor.wait(result));
    return {};
  }

 private:
  Recorder& recorder_;
  RecordObserver* const before_;
  std::unordered_map<const Node*, Tensor> results_;
};

class BlockRunner {
 public:
  BlockRunner(const interp::Program& program, lang::Host& host, const SourceFiles& files,
              const BlockOptions& options, bool colour)
      : program_(program),
        host_(host),
        files_(files),
        options_(options),
        colour_(colour),
        instance_(program, host) {}

  Result<void> start() { return instance_.start(); }
  const std::vector<interp::TraceEntry>& trace() const { return instance_.trace(); }

  // Fails once the whole run is to end.
  Result<BlockReport> run(const interp::NamedProto& block) {
    BlockReport report;
    report.name = block.name;
    locate(program_.protos[static_cast<size_t>(block.proto)]->span, report);
    constexpr size_t kMostRuns = 10000, kFewestRuns = 3;
    // Not timed: what is made at first use, and the call in which functions are traced.
    int more_untimed = options_.seconds > 0 ? 2 : 0;
    double total = 0;
    do {
      const double begin = now_seconds();
      const Result<void> done = once(block);
      if (done.ok() && more_untimed-- > 0) continue;
      report.seconds.push_back(now_seconds() - begin);
      total += report.seconds.back();
      TL_TRY_DO(host_.out.flush());
      if (done.ok()) continue;
      if (host_.interrupts != nullptr && host_.interrupts->is_over()) return done.error();
      report.passed = false;
      report.message = done.error().message;
      report.details = render(done.error(), files_, {.colour = colour_}) + trace_text(trace(), files_);
      if (done.error().where) locate(done.error().where, report);
      break;
    } while (options_.seconds > 0 && report.seconds.size() < kMostRuns &&
             (total < options_.seconds || report.seconds.size() < kFewestRuns));
    return report;
  }

 private:
  // With what it submitted.
  Result<void> once(const interp::NamedProto& block) {
    if (options_.kind == BlockOptions::Kind::Tests) {
      TL_TRY_DO(instance_.run_block(block));
      return host_.executor.finish();
    }
    const HoldResults results(host_.executor.recorder());
    TL_TRY_DO(instance_.run_block(block));
    TL_TRY_DO(results.wait(host_.executor));
    return host_.executor.finish();
  }
  void locate(Span span, BlockReport& report) const {
    if (!span) return;
    const Location at = files_.locate(span.file, span.begin);
    report.file = files_.name(span.file);
    report.line = static_cast<int>(at.line), report.column = static_cast<int>(at.column);
  }

  const interp::Program& program_;
  lang::Host& host_;
  const SourceFiles& files_;
  const BlockOptions& options_;
  const bool colour_;
  interp::Instance instance_;
};

}  // namespace

BlockOutcome run_blocks(const SessionOptions& options, const SessionHooks& hooks, const std::string& file,
                        const BlockOptions& blocks, bool colour) {
  BlockOutcome outcome;
  const auto body = [&](const interp::Program& program, lang::Host& host, const SourceFiles& files,
                        std::vector<interp::TraceEntry>& trace) -> Result<int> {
    BlockRunner runner(program, host, files, blocks, colour);
    if (Result<void> done = runner.start(); !done.ok()) {
      trace = runner.trace();
      return std::move(done).error();
    }
    const bool tests = blocks.kind == BlockOptions::Kind::Tests;
    for (const interp::NamedProto& block : tests ? program.tests : program.benches) {
      if (block.name.find(blocks.filter) == std::string::npos) continue;
      TL_TRY(const BlockReport report, runner.run(block));
      ++(report.passed ? outcome.passed : outcome.failed);
      blocks.report(report);
    }
    TL_TRY_DO(host.out.flush());
    return outcome.failed == 0 ? 0 : 1;
  };
  outcome.program = run_with(options, hooks, file, {}, colour, body);
  return outcome;
}

}  // namespace tl
