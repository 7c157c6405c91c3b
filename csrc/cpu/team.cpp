#include "cpu/team.h"

#include <cmath>
#include <fstream>
#include <sstream>

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#include <pthread.h>
#endif

namespace hrnet_fast {
namespace {

std::atomic<int> runs{0};

// Cores that a quota and its period in microseconds are the time of; 0 where the files say nothing, or no limit.
double cores_of(std::istream&& quota, std::istream&& period) {
  double of_quota = 0, of_period = 0;
  if (!(quota >> of_quota) || !(period >> of_period) || of_quota <= 0 || of_period <= 0) return 0;
  return of_quota / of_period;
}

// Version 2 has both numbers in one file, version 1 in two; "max" is no number.
double cores_of_group(const std::string& folder) {
  std::string line;
  if (std::getline(std::ifstream(folder + "/cpu.max"), line)) {
    const size_t space = line.find(' ');
    return space == std::string::npos ? 0 : cores_of(std::istringstream(line), std::istringstream(line.substr(space)));
  }
  return cores_of(std::ifstream(folder + "/cpu.cfs_quota_us"), std::ifstream(folder + "/cpu.cfs_period_us"));
}

}  // namespace

int cores_of_quota(const std::string& root) {
  std::ifstream groups(root + "/proc/self/cgroup");  // number:controllers:path, of version 2 without controllers
  double least = 0;
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool is_second = controllers == ",,";
    if (!is_second && controllers.find(",cpu,") == std::string::npos) continue;
    const std::string mount = root + "/sys/fs/cgroup" + (is_second ? "" : "/cpu");
    for (std::string path = line.substr(second + 1);; path.resize(path.find_last_of('/'))) {
      const double cores = cores_of_group(mount + path);
      if (cores > 0 && (least == 0 || cores < least)) least = cores;
      if (path.find('/') == std::string::npos) break;
    }
  }
  return int(std::ceil(least));
}

Run::Run() : running_(++runs) {}
Run::~Run() { end(); }

void Run::end() {
  if (running_ > 0) --runs;
  running_ = 0;
}

int Run::team_size(int asked) const {
#ifdef _OPENMP
  static const int quota = cores_of_quota();
  if (asked > 1 && !omp_in_parallel()) {
    const int cores = std::min(asked, omp_get_num_procs());
    return std::max(1, (quota > 0 ? std::min(cores, quota) : cores) / running_);
  }
#endif
  return 1;
}

void let_teams_survive_forks() {
#if defined(__unix__) || defined(__APPLE__)
  using Pause = int (*)(int);  // of OpenMP 5.0, looked up because older runtimes lack it
  static const Pause pause = reinterpret_cast<Pause>(dlsym(RTLD_DEFAULT, "omp_pause_resource_all"));
  constexpr int kSoft = 1;  // omp_pause_soft: settings stay
  static const int registered = pthread_atfork(
      [] {
        if (pause) pause(kSoft);
      },
      nullptr, [] { runs = 0; });
  (void)registered;
#endif
}

}  // namespace hrnet_fast
