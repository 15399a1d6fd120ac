# What is no program of this build but must pass with it: the unit tests and the fuzz targets under
# sanitizers, which are a build of their own, and the checks of the sources.
if(NOT TCPSAGA_SANITIZE)
  # Beside the first tests, while guests wait for something.
  add_test(NAME build_asan COMMAND ${PROJECT_SOURCE_DIR}/scripts/build.sh --tests asan unit_test fuzz_targets -j1)
  set_tests_properties(build_asan PROPERTIES
    LABELS "unit;fuzz" FIXTURES_SETUP asan TIMEOUT 1500 COST 1000)
  add_test(NAME unit COMMAND ${PROJECT_SOURCE_DIR}/build/asan/tests/unit/unit_test --gtest_brief=1)
  set_tests_properties(unit PROPERTIES LABELS unit FIXTURES_REQUIRED asan COST 590
                                       ENVIRONMENT UBSAN_OPTIONS=print_stacktrace=1)
  # New inputs are tried too and forgotten; a crash is left in the build folder. Some seconds each: a
  # command line takes a hundred times as long as a record.
  foreach(target record:1500 recording:300 correlator:1500 filters:150)
    string(REGEX MATCH "^(.*):(.*)$" unused ${target})
    add_test(NAME fuzz_${CMAKE_MATCH_1}
             COMMAND sh -c "exec \"$@\" -seed_inputs=\"$(ls -d \"$0\"/* | paste -sd ,)\""
                     ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${CMAKE_MATCH_1}
                     ${PROJECT_SOURCE_DIR}/build/asan/tests/fuzz/${CMAKE_MATCH_1}_fuzz
                     -runs=${CMAKE_MATCH_2} -seed=1 -max_len=4096 -close_fd_mask=3
                     -artifact_prefix=${PROJECT_BINARY_DIR}/asan/)
    set_tests_properties(fuzz_${CMAKE_MATCH_1} PROPERTIES LABELS fuzz FIXTURES_REQUIRED asan)
  endforeach()
  add_test(NAME lint COMMAND ${PROJECT_SOURCE_DIR}/scripts/lint.sh)
  set_tests_properties(lint PROPERTIES LABELS lint PROCESSORS 2 COST 900) # it uses all there are
endif()
