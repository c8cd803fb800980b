#include "pipeline/command.hpp"

int main(int argc, char** argv) { return stylescope::run_program(argc, argv); }
