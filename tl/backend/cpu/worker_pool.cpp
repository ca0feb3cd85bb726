#include "tl/backend/cpu/worker_pool.h"

#include <sched.h>

#include <algorithm>
#include <chrono>

namespace tl::cpu {
namespace {

// Between two commands of a running batch the gap is a microsecond or so: spin that long. Between two steps
// of a generation it is a few hundred: stay awake, but give the core to whoever wants it. Then sleep.
constexpr int kPauses = 2000;
constexpr auto kYieldFor = std::chrono::microseconds(150);

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

WorkerPool::WorkerPool(int threads) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

WorkerPool::~WorkerPool() {
  stop_ = true;
  signal_.fetch_add(1);
  signal_.notify_all();
  for (std::thread& t : threads_) t.join();
}

WorkerPool::Sources WorkerPool::snapshot() const {
  const std::lock_guard lock(mutex_);
  return sources_;
}

void WorkerPool::add(std::shared_ptr<WorkSource> source) {
  const std::lock_guard lock(mutex_);
  sources_.push_back(std::move(source));
  version_.fetch_add(1);
}

void WorkerPool::remove(const WorkSource* source) {
  const std::lock_guard lock(mutex_);
  std::erase_if(sources_, [&](const auto& s) { return s.get() == source; });
  version_.fetch_add(1);
}

void WorkerPool::notify(int parts) {
  signal_.fetch_add(1);
  if (sleepers_.load() == 0) return;
  if (parts > 1) {
    signal_.notify_all();
  } else {
    signal_.notify_one();
  }
}

void WorkerPool::poke_all() {
  for (const auto& source : snapshot()) source->poke();
}

bool WorkerPool::run_once(Worker& worker, const Sources& sources) {
  // Part by part in turn where there are several, so that nobody waits for all that another has queued.
  bool ran = false;
  for (const auto& source : sources) ran |= source->run_parts(worker, sources.size() > 1);
  return ran;
}

void WorkerPool::run() {
  Worker worker;
  Sources sources;
  u32 version = version_.load() - 1;
  while (!stop_.load(std::memory_order_relaxed)) {
    if (version_.load() != version) {
      version = version_.load();
      sources = snapshot();
    }
    const u32 seen = signal_.load();
    if (run_once(worker, sources)) continue;

    bool woken = false;
    for (int i = 0; i < kPauses && !woken; ++i) {
      pause();
      woken = signal_.load(std::memory_order_relaxed) != seen;
    }
    const auto start = std::chrono::steady_clock::now();
    while (!woken && std::chrono::steady_clock::now() - start < kYieldFor) {
      sched_yield();
      woken = signal_.load(std::memory_order_relaxed) != seen;
    }
    if (woken) continue;
    sources.clear();  // a sleeping thread must not keep a stream alive
    version = version_.load() - 1;
    sleepers_.fetch_add(1);
    if (!stop_.load()) signal_.wait(seen);  // returns at once if something came between
    sleepers_.fetch_sub(1);
  }
}

}  // namespace tl::cpu
