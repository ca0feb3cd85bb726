#include "tl/backend/cpu/worker_pool.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <system_error>

#include "tl/backend/cpu/cpu_device.h"
#include "tl/base/fail_point.h"

namespace tl::cpu {
namespace {

// Between two commands of a running batch the gap is a microsecond or so: spin that long. Between two steps
// of a generation it is a few hundred: stay awake, but give the core to whoever wants it. Then sleep.
constexpr int kPauses = 2000;
constexpr auto kYieldFor = std::chrono::microseconds(150);
// Where there are more threads than cores, all of them at once would be in each other's way.
constexpr int kWokenPerCore = 2, kUsefulPerCore = 4;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

WorkerPool::WorkerPool(int threads) : cores_(usable_cores()) {
  try {
    for (int i = 0; i < threads && !must_fail(FailPoint::Thread); ++i)
      threads_.emplace_back([this] { run(); });
  } catch (const std::system_error&) {
  }
}

int WorkerPool::useful_threads() const {
  return std::min(threads(), kUsefulPerCore * cores_);
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
  const int sleepers = sleepers_.load();
  if (sleepers == 0) return;
  const int wanted = std::min(parts, kWokenPerCore * cores_);
  if (wanted >= sleepers) return signal_.notify_all();
  for (int i = 0; i < wanted; ++i) signal_.notify_one();
}

void WorkerPool::poke_all() {
  for (const auto& source : snapshot()) source->poke();
}

bool WorkerPool::run_once(Worker& worker, const Sources& sources) {
  // In turn, so that nobody waits for all that another has queued.
  bool ran = false;
  for (const auto& source : sources) {
    if (source->run_next(worker)) ran = true;
  }
  return ran;
}

// Until there is something new (true) or it is time to sleep. So many as there are cores: more would only
// take the cores from those that have work.
bool WorkerPool::stay_awake(u32 seen) {
  if (waking_.fetch_add(1) >= cores_) {
    waking_.fetch_sub(1);
    return signal_.load() != seen;
  }
  bool is_new = false;
  for (int i = 0; i < kPauses && !is_new; ++i) {
    pause();
    is_new = signal_.load(std::memory_order_relaxed) != seen;
  }
  const auto start = std::chrono::steady_clock::now();
  while (!is_new && std::chrono::steady_clock::now() - start < kYieldFor) {
    sched_yield();
    is_new = signal_.load(std::memory_order_relaxed) != seen;
  }
  waking_.fetch_sub(1);
  return is_new;
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

    if (stay_awake(seen)) continue;
    sources.clear();  // a sleeping thread must not keep a stream alive
    version = version_.load() - 1;
    sleepers_.fetch_add(1);
    if (!stop_.load()) signal_.wait(seen);  // returns at once if something came between
    sleepers_.fetch_sub(1);
  }
}

}  // namespace tl::cpu
