#include "pipeline/command.hpp"
#include "pipeline/host_memory.hpp"

int main(int argc, char** argv) {
  stylescope::keep_freed_memory();
  return stylescope::run_program(argc, argv);
}
