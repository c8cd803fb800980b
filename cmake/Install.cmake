# cmake --install build/release --prefix DIR: DIR/bin/stylescope, and DIR/share/stylescope with the examples of
# configurations and the profiles of clusters (pipeline/install_paths.cpp looks for them there).
install(TARGETS stylescope RUNTIME DESTINATION bin)
file(GLOB _configs CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/configs/*.yaml)
file(GLOB _sites CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/slurm/sites/*.yaml)
install(FILES ${_configs} DESTINATION share/stylescope/configs)
install(FILES ${_sites} DESTINATION share/stylescope/sites)
# The programs that docs/blackbox.md speaks of.
install(DIRECTORY ${CMAKE_SOURCE_DIR}/examples DESTINATION share/stylescope)
