#include "tests/property/run_program.h"

#include <algorithm>
#include <condition_variable>
#include <thread>

#include "tests/property/run_function.h"
#include "tl/backend/cpu/cpu_device.h"
#include "tl/backend/null/null_device.h"
#include "tl/base/fail_point.h"
#include "tl/exec/checksum.h"
#include "tl/ops/ops.h"

namespace tl::property {
namespace {

// What threads hand to those that were started after them.
class Mailboxes {
 public:
  explicit Mailboxes(size_t threads) : published_(threads) {}
  void publish(size_t thread, Tensor t) {
    const std::lock_guard lock(mutex_);
    published_[thread].push_back(std::move(t));
    changed_.notify_all();
  }
  Tensor take(size_t thread, size_t number) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return published_[thread].size() > number; });
    return published_[thread][number];
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::vector<Tensor>> published_;
};

// What all threads of a run know.
struct Whole {
  const Program& program;
  const Settings& settings;
  Device& device;
  Shared shared;
  u64 sizes = 0;  // added to every choice of a size
  std::vector<std::unique_ptr<Executor>> ended;
  std::string* log;
};

constexpr size_t kVariables = 10, kCaches = 3;

class Thread {
 public:
  Thread(Whole& whole, Executor& executor, std::string name)
      : whole_(whole),
        executor_(executor),
        ops_(executor, whole.shared, whole.settings.alone, whole.log),
        name_(std::move(name)),
        variables_(kVariables),
        caches_(kCaches) {}

  void run(const std::vector<Statement>& body) {
    for (size_t i = 0; i < body.size(); ++i) {
      if (whole_.log != nullptr) ops_.say(fmt::format("  {}.{} {}", name_, i, name_of(body[i].kind)));
      where_ = fmt::format("{}.{}", name_, i);
      run(body[i]);
      (void)executor_.loop_point().ok();
    }
  }

  void look_at_all() {
    for (size_t i = 0; i < variables_.size(); ++i)
      look(variables_[i], fmt::format("{} variable {}", name_, i));
    for (size_t i = 0; i < caches_.size(); ++i) look(caches_[i], fmt::format("{} cache {}", name_, i));
  }

  Observations seen;

 private:
  Tensor& variable(Random& random) { return variables_[static_cast<size_t>(random.below(kVariables))]; }
  // One that is there, if there is any.
  Tensor& used(Random& random) {
    Tensor* t = &variable(random);
    for (int i = 0; i < 6 && !*t; ++i) t = &variable(random);
    return *t;
  }
  Tensor& cache(Random& random) { return caches_[static_cast<size_t>(random.below(kCaches))]; }

  void run(const Statement& s) {
    Random structure(s.choice), sizes(hash_combine(s.choice, whole_.sizes));
    switch (s.kind) {
      case Statement::Kind::Fresh: {
        const i64 rows =
            sizes.pick<i64>({0, 1, 2, 7, 33, whole_.program.max_rows, whole_.program.max_rows / 2});
        variable(structure) = ops_.numbers({rows, whole_.program.cols}, sizes.next());
        return;
      }
      case Statement::Kind::Call:
        return call(s);
      case Statement::Kind::NewCache: {
        const i64 cols = whole_.program.cols;
        auto made = executor_.reserved(DType::F32, {cols}, sizes.pick<i64>({0, 4, 30, 1000}));
        cache(structure) =
            made.ok() ? std::move(made).value() : failed_tensor({DType::F32, {0, cols}}, made.error());
        return;
      }
      case Statement::Kind::Fork:
        cache(structure) = cache(structure);
        return;
      case Statement::Kind::Truncate:
        if (Tensor& c = cache(structure)) c = ops_.rows(c, 0, sizes.below(c.shape()[0] + 1));
        return;
      case Statement::Kind::Drop:
        variable(structure) = {};
        return;
      case Statement::Kind::Look:
        return look(used(structure), where_);
      case Statement::Kind::Item:
        return item(used(structure), sizes);
      case Statement::Kind::Flush:
        return hand_over();
      case Statement::Kind::Publish:
        return publish(used(structure));
      case Statement::Kind::Take:
        return take(structure);
      case Statement::Kind::Threads:
        return threads(s);
    }
  }

  void call(const Statement& s) {
    const Function& f = whole_.program.functions[static_cast<size_t>(s.function)];
    for (int n = 0; n < s.times; ++n) {
      Random structure(s.choice);
      std::vector<Tensor> params;
      for (int i = 0; i < f.params; ++i) params.push_back(used(structure));
      Tensor& c = cache(structure);
      const u64 sizes = hash_combine(hash_combine(s.choice, whole_.sizes), static_cast<u64>(n));
      std::vector<Tensor> results = run_function(ops_, whole_.program, f, std::move(params), c, sizes);
      for (Tensor& t : results) variable(structure) = std::move(t);
    }
  }

  void see(std::string where, const Result<HostTensor>& host) {
    if (!host.ok()) return seen.push_back({std::move(where), true, host.error().message});
    std::string text = checksum_hex(checksum(host.value())) + " " + to_string(host.value().type);
    for (i64 i = 0; i < std::min<i64>(host.value().numel(), 4); ++i)
      text += fmt::format(" {}", host.value().as_double(i));
    seen.push_back({std::move(where), false, std::move(text)});
  }

  void look(const Tensor& t, std::string where) {
    if (t) return see(std::move(where), executor_.read(t));
    seen.push_back({std::move(where), false, "nothing"});
  }

  void item(const Tensor& t, Random& sizes) {
    if (!t || numel(t.shape()) == 0 || is_quantised(t.dtype())) return;
    const Tensor flat = ops_.apply(op_flatten, {t});
    look(ops_.rows(flat, sizes.below(numel(t.shape())), 1), where_);
  }

  // Everything a thread holds is on its way afterwards, or has failed.
  void hand_over() {
    while (executor_.recorder().pending_count() > 0) {
      const i64 before = executor_.recorder().pending_count();
      if (executor_.flush().ok()) return;
      TL_CHECK(executor_.recorder().pending_count() < before, "a flush failed, and nothing with it");
    }
  }

  void publish(const Tensor& t) {
    if (mailboxes_ == nullptr) return;
    while (t && t->state == NodeState::Pending) (void)executor_.submit({&t, 1}).ok();
    mailboxes_->publish(number_, t);
  }

  void take(Random& structure) {
    if (mailboxes_ == nullptr || number_ == 0) return;
    const auto from = static_cast<size_t>(structure.below(static_cast<i64>(number_)));
    const i64 count = std::count_if((*bodies_)[from].begin(), (*bodies_)[from].end(),
                                    [](const Statement& s) { return s.kind == Statement::Kind::Publish; });
    if (count == 0) return;
    variable(structure) = mailboxes_->take(from, static_cast<size_t>(structure.below(count)));
  }

  void threads(const Statement& s);

  Whole& whole_;
  Executor& executor_;
  OpsMaker ops_;
  const std::string name_;
  std::string where_;
  std::vector<Tensor> variables_, caches_;
  Mailboxes* mailboxes_ = nullptr;
  const std::vector<std::vector<Statement>>* bodies_ = nullptr;
  size_t number_ = 0;
};

void Thread::threads(const Statement& s) {
  hand_over();
  Mailboxes mailboxes(s.bodies.size());
  std::vector<std::unique_ptr<Executor>> executors;
  std::vector<std::unique_ptr<Thread>> threads;
  for (size_t i = 0; i < s.bodies.size(); ++i) {
    Result<std::unique_ptr<Executor>> made = Executor::create(whole_.device, whole_.settings.exec);
    TL_CHECK(made.ok(), "{}", made.error().message);
    executors.push_back(std::move(made).value());
    threads.push_back(std::make_unique<Thread>(whole_, *executors.back(), fmt::format("thread {}", i)));
    Thread& t = *threads.back();
    t.variables_ = variables_, t.caches_ = caches_;
    t.mailboxes_ = &mailboxes, t.bodies_ = &s.bodies, t.number_ = i;
  }
  const auto work = [&](size_t i) {
    threads[i]->run(s.bodies[i]);
    threads[i]->hand_over();
  };
  if (whole_.settings.alone || whole_.log != nullptr) {
    for (size_t i = 0; i < threads.size(); ++i) work(i);
  } else {
    std::vector<std::thread> running;
    for (size_t i = 0; i < threads.size(); ++i) running.emplace_back(work, i);
    for (std::thread& t : running) t.join();
  }
  // Their results go on here, whether they are there yet or not.
  for (size_t i = 0; i < threads.size(); ++i) {
    const Observations& theirs = threads[i]->seen;
    seen.insert(seen.end(), theirs.begin(), theirs.end());
    for (size_t v = i; v < kVariables; v += threads.size()) variables_[v] = threads[i]->variables_[v];
  }
  threads.clear();
  if (!whole_.settings.keeps_executors) return;
  for (auto& e : executors) whole_.ended.push_back(std::move(e));
}

Observations run_once(Whole& whole, Executor& executor) {
  Thread thread(whole, executor, "main");
  thread.run(whole.program.main);
  thread.look_at_all();
  return std::move(thread.seen);
}

std::unique_ptr<Device> make_device(const Settings& settings) {
  if (settings.device == Settings::Device::Null) return null::create_device();
  auto device = cpu::create_device({.threads = settings.threads, .simd = {}, .memory_limit_bytes = 0});
  TL_CHECK(device.ok(), "{}", device.error().message);
  return std::move(device).value();
}

void fail_on_purpose(const std::string& text) {
  const Result<void> done = set_fail_points(text);
  TL_CHECK(done.ok(), "{}", done.error().message);
}

}  // namespace

std::string to_string(const Settings& s) {
  std::string text =
      s.device == Settings::Device::Null ? "null device" : fmt::format("{} threads", s.threads);
  if (s.exec.commands_per_batch > 0) text += fmt::format(", batches of {}", s.exec.commands_per_batch);
  if (s.exec.shuffle) text += fmt::format(", shuffled by {}", *s.exec.shuffle);
  if (s.alone) text += ", each value alone";
  if (s.exec.eager) text += ", eager";
  if (!s.exec.fuse) text += ", not fused";
  if (s.is_warm) text += ", warm";
  if (s.keeps_executors) text += ", executors kept";
  if (!s.failures.empty()) text += ", failures " + s.failures;
  return text;
}

Observations run_program(const Program& program, const Settings& settings, Observations* afterwards,
                         std::string* log) {
  const std::unique_ptr<Device> device = make_device(settings);
  Result<std::unique_ptr<Executor>> executor = Executor::create(*device, settings.exec);
  TL_CHECK(executor.ok(), "{}", executor.error().message);
  Observations seen;
  {
    Whole whole{program, settings, *device, {}, 0, {}, nullptr};
    if (settings.is_warm) {
      whole.sizes = 1;
      (void)run_once(whole, *executor.value());
      whole.sizes = 0;
    }
    whole.log = log;
    fail_on_purpose(settings.failures);
    seen = run_once(whole, *executor.value());
    fail_on_purpose("");
    whole.log = nullptr;
    if (afterwards != nullptr) *afterwards = run_once(whole, *executor.value());
  }
  (void)executor.value()->finish().ok();  // its failures were looked at, or lead to nothing anybody looked at
  executor.value().reset();
  return seen;
}

}  // namespace tl::property
