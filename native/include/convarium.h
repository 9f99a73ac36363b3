/* The C++ core of convarium: three maps of a convolution on the CPU. No Python and no PyTorch in it.
 *
 * A convolution is a matrix product whose left operand is addressed through tables (Dukhan, The indirect convolution algorithm,
 * 2019): for an output at position s, tap m of axis d reads the input at s * stride + begin + m * dilation. The caller has
 * checked every number; sizes are in elements. A dilation may be negative, which is how a true convolution (a turned kernel) is
 * written.
 */
#ifndef CONVARIUM_H
#define CONVARIUM_H

#include <stdint.h>

#define CONVARIUM_ABI 4

#if defined(_WIN32)
#define CV_API __declspec(dllexport)
#else
#define CV_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Halves are summed as float32 and rounded once. */
enum cv_dtype { CV_FLOAT32 = 0, CV_FLOAT64 = 1, CV_BFLOAT16 = 2, CV_FLOAT16 = 3 };
/* How sums are laid out; the core chooses, unless a test asks. GATHERED: a window's places are found once for all that
 * read it. NEIGHBOURS: few read it, and neighbouring positions, or all that read a channel, are worked on at once. LINES:
 * neighbours that share a kernel, along the lines of a sample, which stays as it lies. IN_SLABS, with any: in the smallest parts. */
enum cv_way { CV_BEST_WAY = 0, CV_GATHERED = 1, CV_NEIGHBOURS = 2, CV_IN_SLABS = 4, CV_LINES = 8 };

enum cv_status { CV_OK = 0, CV_NO_MEMORY = 1, CV_NO_DTYPE = 2 };

/* One direction. A problem has three; those that it does not need have size, kernel, output and tile 1. */
typedef struct cv_axis {
  int64_t size, kernel, output;    /* of the input, the kernel and the output */
  int64_t stride, dilation, begin; /* tap m of output s reads input s * stride + begin + m * dilation, zero outside */
  int64_t tile;                    /* kernels that take turns: output s has kernel s % tile */
  int64_t tile_step, tap_step;     /* of the weight: from a kernel to the next, from a tap to the next */
} cv_axis;

/* Complete blocks of channels of one shape: in block n each of outputs[n] reads each of inputs[n], ascending. */
typedef struct cv_blocks {
  int64_t count, outputs, inputs;
  const int64_t *output_channels; /* count x outputs */
  const int64_t *input_channels;  /* count x inputs */
} cv_blocks;

typedef struct cv_problem {
  int64_t batch, in_channels, out_channels;
  cv_axis axes[3];
  const int64_t *rows; /* out_channels: where the weights of an output channel begin */
  int64_t input_step;  /* of the weight: from one input that an output reads to the next */
  const cv_blocks *classes;
  int64_t n_classes;
  int32_t dtype, way;
  int32_t add; /* whether a weight gradient is added to what is there; the core's own, 0 from outside */
} cv_problem;

/* batch, channel and three directions */
typedef struct cv_tensor {
  void *data;
  int64_t strides[5];
} cv_tensor;

/* The three maps. The weight is addressed by the problem; what is written is written whole, grad_weight included. */
CV_API int cv_forward(const cv_problem *problem, const cv_tensor *input, const void *weight, const cv_tensor *output,
                      int threads);
CV_API int cv_grad_input(const cv_problem *problem, const cv_tensor *grad_output, const void *weight, const cv_tensor *grad_input,
                         int threads);
CV_API int cv_grad_weight(const cv_problem *problem, const cv_tensor *input, const cv_tensor *grad_output, void *grad_weight,
                          int threads);

enum cv_map { CV_FORWARD = 0, CV_GRAD_INPUT = 1, CV_GRAD_WEIGHT = 2 };

/* How a map is laid out: CV_GATHERED, CV_NEIGHBOURS or CV_LINES. */
CV_API int cv_way_of(const cv_problem *problem, int map);

/* Threads. The core has its own, unless the host lends it a team of OpenMP: the functions GOMP_parallel, omp_get_thread_num and
 * omp_get_num_threads of the library that the host itself runs on. NULL: its own again. What is lent must outlive the core. */
typedef struct cv_team {
  void (*fork)(void (*body)(void *), void *data, unsigned threads, unsigned flags);
  int (*number)(void);
  int (*size)(void);
} cv_team;

CV_API void cv_lend_team(const cv_team *team);

/* Memory: blocks that are kept when they are given back, up to a limit, aligned to 64 bytes, large ones of huge pages. */
typedef struct cv_memory {
  int64_t used, cached, peak, limit; /* bytes */
  int64_t taken, fresh;              /* blocks handed out, and how many of them the system was asked for */
} cv_memory;

/* A DLManagedTensor (DLPack 0) of such a block, contiguous, on the CPU; its deleter gives the block back. Code and bits as there.
 * Null when there is no memory or more than 8 dimensions. */
CV_API void *cv_managed_tensor(int32_t ndim, const int64_t *shape, int32_t code, int32_t bits);

/* Ask for huge pages under memory that is not the core's, before it is written to for the first time. */
CV_API void cv_in_large_pages(void *block, int64_t bytes);

CV_API void *cv_take(int64_t bytes);
CV_API void cv_give(void *block);
CV_API void cv_empty_cache(void);
CV_API void cv_memory_limit(int64_t bytes);
CV_API cv_memory cv_memory_stats(void);

CV_API int cv_abi(void);

/* The instruction sets that were compiled, one name at a time, best first, and whether this machine has it; NULL at the end. */
CV_API const char *cv_isa_name(int index);
CV_API int cv_isa_available(int index);

/* The one in use. CONVARIUM_ISA in the environment chooses another, once, before the first call. */
CV_API const char *cv_isa(void);

#ifdef __cplusplus
}
#endif

#endif
