#include "cpu/team.h"

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#include <pthread.h>
#endif

namespace hrnet_fast {

void let_teams_survive_forks() {
#if defined(__unix__) || defined(__APPLE__)
  using Pause = int (*)(int);  // of OpenMP 5.0, looked up because older runtimes lack it
  static const Pause pause = reinterpret_cast<Pause>(dlsym(RTLD_DEFAULT, "omp_pause_resource_all"));
  constexpr int kSoft = 1;  // omp_pause_soft: settings stay
  static const int registered = pause == nullptr ? 0 : pthread_atfork([] { pause(kSoft); }, nullptr, nullptr);
  (void)registered;
#endif
}

}  // namespace hrnet_fast
