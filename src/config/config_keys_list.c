/* The list itself: transformers 4.46 to 5.17, PEFT 0.21, AudioCraft 1.4. A word is a key, or KEY=VALUE|VALUE,
 * or the beginning of a path and .* for all below it. @V, @rate, @chroma and @channels are the model's own.
 */
#include "config_keys.h"

#define ANY_CONFIG                                                                                        \
    " _name_or_path _commit_hash _attn_implementation _attn_implementation_autoset attn_implementation "  \
    "_experts_implementation add_cross_attention architectures auto_map chunk_size_feed_forward "         \
    "decoder_start_token_id "                                                                             \
    "dtype finetuning_task gradient_checkpointing id2label is_decoder is_encoder_decoder label2id "       \
    "output_attentions output_hidden_states prefix problem_type return_dict sep_token_id "                \
    "task_specific_params "                                                                               \
    "tf_legacy_loss tie_encoder_decoder tie_word_embeddings tokenizer_class torch_dtype torchscript "     \
    "transformers_version use_bfloat16 use_cache pruned_heads " /* of generation, which has a file of its \
                                                                   own */                                 \
    "bad_words_ids begin_suppress_tokens diversity_penalty do_sample early_stopping "                     \
    "encoder_no_repeat_ngram_size "                                                                       \
    "exponential_decay_length_penalty forced_bos_token_id forced_eos_token_id length_penalty max_length " \
    "min_length no_repeat_ngram_size num_beam_groups num_beams num_return_sequences output_scores "       \
    "remove_invalid_values repetition_penalty return_dict_in_generate suppress_tokens temperature top_k " \
    "top_p "                                                                                              \
    "typical_p max_new_tokens guidance_scale"

/* Sections that AudioCraft's trainers read, and nobody who only plays a model. */
#define XP_TRAINING                                                                                          \
    "autocast autocast_dtype balancer.* benchmark_no_load cache.* checkpoint.* continue_from dac.* "         \
    "deadlock.* "                                                                                            \
    "datasource.* device dora.* dtype efficient_attention_backend ema.* evaluate.* execute_inplace "         \
    "execute_only execute_best fsdp.* generate.* label logging.* losses.* metrics.* mp_start_method "        \
    "num_threads "                                                                                           \
    "optim.* parallel.* profiler.* schedule.* seed show slurm.* solver tensorboard.* wandb.* adversarial.* " \
    "l1.* "                                                                                                  \
    "l2.* mel.* mrstft.* mpd.* msd.* msspec.* msstftd.* sisnr.* loss.* "

static const mg_keys_list lists[MG_KEYS_FILES] = {
    [MG_KEYS_MODEL] =
        {
            "config.json",
            "model_type text_encoder audio_encoder decoder num_chroma chroma_length",
            "",
            "quantization_config=null",
            "bos_token_id eos_token_id pad_token_id cross_attention_hidden_size "
            "initializer_factor" ANY_CONFIG,
        },
    [MG_KEYS_T5] =
        {
            "config.json: text_encoder",
            "d_model d_kv d_ff num_layers num_heads vocab_size relative_attention_num_buckets "
            "relative_attention_max_distance layer_norm_epsilon feed_forward_proj",
            "model_type=t5 is_gated_act dense_act_fn",
            "quantization_config=null",
            "bos_token_id eos_token_id pad_token_id classifier_dropout cross_attention_hidden_size "
            "dropout_rate "
            "initializer_factor n_positions num_decoder_layers output_past scale_decoder_outputs" ANY_CONFIG,
        },
    [MG_KEYS_CODEC] =
        {
            "config.json: audio_encoder",
            "sampling_rate num_filters hidden_size codebook_size upsampling_ratios num_residual_layers "
            "kernel_size "
            "last_kernel_size residual_kernel_size dilation_growth_rate compress num_lstm_layers "
            "target_bandwidths "
            "pad_mode use_conv_shortcut",
            "model_type=encodec audio_channels=1 norm_type=weight_norm use_causal_conv=false normalize=false "
            "chunk_length_s=null codebook_dim",
            "quantization_config=null",
            "bos_token_id eos_token_id pad_token_id cross_attention_hidden_size initializer_factor overlap "
            "trim_right_ratio" ANY_CONFIG,
        },
    [MG_KEYS_DECODER] =
        {
            "config.json: decoder",
            "hidden_size num_hidden_layers num_attention_heads ffn_dim vocab_size num_codebooks "
            "audio_channels "
            "max_position_embeddings",
            "model_type activation_function=gelu cross_attention_hidden_size",
            "pad_token_id=@V bos_token_id=@V eos_token_id=null quantization_config=null",
            "activation_dropout attention_dropout dropout initializer_factor initializer_range layerdrop "
            "scale_embedding num_chroma chroma_length" ANY_CONFIG,
        },
    [MG_KEYS_GENERATION] =
        {
            "generation_config.json",
            "guidance_scale do_sample top_k top_p min_p temperature max_length max_new_tokens",
            "",
            "bad_words_ids=null begin_suppress_tokens=null|[] bos_token_id=@V constraints=null "
            "decoder_start_token_id=@V diversity_penalty=0 dola_layers=null encoder_no_repeat_ngram_size=0 "
            "encoder_repetition_penalty=1 eos_token_id=null epsilon_cutoff=0 eta_cutoff=0 "
            "exponential_decay_length_penalty=null force_words_ids=null forced_bos_token_id=null "
            "forced_decoder_ids=null forced_eos_token_id=null max_time=null min_length=0 "
            "min_new_tokens=null|0 "
            "no_repeat_ngram_size=0 num_beam_groups=1 num_beams=1 num_return_sequences=1 pad_token_id=@V "
            "penalty_alpha=null|0 prompt_lookup_num_tokens=null repetition_penalty=1 sequence_bias=null|{} "
            "stop_strings=null suppress_tokens=null|[] token_healing=false top_h=null typical_p=1 "
            "watermarking_config=null custom_generate=null",
            "_from_model_config assistant_confidence_threshold assistant_early_exit "
            "assistant_ensemble_weight assistant_lookbehind "
            "cache_config cache_implementation compile_config continuous_batching_config disable_compile "
            "early_stopping "
            "generation_kwargs "
            "is_assistant length_penalty low_memory max_cache_len max_matching_ngram_size "
            "num_assistant_tokens "
            "num_assistant_tokens_schedule output_attentions output_hidden_states output_logits "
            "output_scores "
            "prefill_chunk_size remove_invalid_values renormalize_logits return_dict_in_generate "
            "return_legacy_cache speculation_type target_lookbehind trust_remote_code transformers_version "
            "use_cache use_mtp",
        },
    [MG_KEYS_PROCESSOR] =
        {
            "preprocessor_config.json, processor_config.json",
            "",
            "",
            "sampling_rate=@rate n_fft=16384 hop_length=4096 num_chroma=@chroma padding_value=0 "
            "chunk_length_s=null overlap=null",
            "_processor_class chunk_length dither feature_extractor feature_extractor_type feature_size "
            "n_samples "
            "padding_side processor_class return_attention_mask stem_indices tokenizer audio_tokenizer "
            "auto_map",
        },
    [MG_KEYS_TOKENIZER_CONFIG] =
        {
            "tokenizer_config.json",
            "added_tokens_decoder additional_special_tokens bos_token cls_token eos_token extra_ids legacy "
            "mask_token "
            "pad_token sep_token unk_token",
            "",
            "sp_model_kwargs=null|{} split_special_tokens=null|false "
            "tokenizer_class=T5Tokenizer|T5TokenizerFast|T5|PreTrainedTokenizerFast|TokenizersBackend|null",
            "add_bos_token add_eos_token add_prefix_space added_tokens_encoder backend chat_template "
            "clean_up_tokenization_spaces do_lower_case extra_special_tokens from_slow is_local max_length "
            "model_input_names model_max_length model_specific_special_tokens name_or_path "
            "pad_to_multiple_of "
            "pad_token_type_id padding_side processor_class special_tokens_map_file stride tokenizer_file "
            "truncation_side truncation_strategy use_fast verbose auto_map local_files_only",
        },
    [MG_KEYS_TOKENIZER_JSON] =
        {
            "tokenizer.json",
            "added_tokens normalizer pre_tokenizer model",
            "post_processor",
            "",
            "version truncation padding decoder",
        },
    [MG_KEYS_TOKENS_MAP] =
        {
            "special_tokens_map.json",
            "additional_special_tokens bos_token cls_token eos_token mask_token pad_token sep_token "
            "unk_token",
            "",
            "",
            "extra_special_tokens",
        },
    [MG_KEYS_ADAPTER] =
        {
            "adapter_config.json",
            "lora_alpha alpha_pattern use_rslora",
            "peft_type=LORA bias=none|all|lora_only init_lora_weights=gaussian|eva|orthogonal|true|false "
            "use_dora=false fan_in_fan_out=false lora_bias=false layer_replication=null megatron_config=null "
            "use_qalora=false alora_invocation_tokens=null target_parameters=null "
            "trainable_token_indices=null corda_config=null lora_ga_config=null arrow_config=null "
            "kasa_config=null monteclora_config=null velora_config=null use_bdlora=null",
            "",
            "auto_mapping base_model_name_or_path ensure_weight_tying eva_config exclude_modules "
            "inference_mode layers_pattern layers_to_transform loftq_config lora_dropout megatron_core "
            "modules_to_save peft_version qalora_group_size r rank_pattern revision runtime_config "
            "target_modules task_type",
        },
    [MG_KEYS_XP_LM] =
        {
            "xp.cfg of state_dict.bin",
            "sample_rate channels compression_model_n_q dataset.segment_duration "
            "classifier_free_guidance.inference_coef interleave_stereo_codebooks.use transformer_lm.dim "
            "transformer_lm.num_heads transformer_lm.num_layers transformer_lm.hidden_scale "
            "transformer_lm.n_q "
            "transformer_lm.card conditioners.description.t5.name conditioners.self_wav.chroma_stem.n_chroma "
            "conditioners.self_wav.style.ds_factor conditioners.self_wav.style.n_q_out "
            "conditioners.self_wav.style.eval_q conditioners.self_wav.style.length "
            "conditioners.self_wav.style.batch_norm conditioners.self_wav.style.transformer_scale "
            "generate.lm.use_sampling generate.lm.temp generate.lm.top_k generate.lm.top_p",
            "lm_model=transformer_lm transformer_lm.norm_first=true transformer_lm.bias_ff=false "
            "transformer_lm.bias_attn=false transformer_lm.bias_proj=false "
            "transformer_lm.positional_embedding=sin "
            "transformer_lm.activation=gelu transformer_lm.norm=layer_norm transformer_lm.causal=true "
            "transformer_lm.xpos=false transformer_lm.layer_scale=null transformer_lm.past_context=null "
            "transformer_lm.qk_layer_norm=false transformer_lm.qk_layer_norm_cross=false "
            "transformer_lm.kv_repeat=1 codebooks_pattern.modeling=delay codebooks_pattern.delay.delays "
            "codebooks_pattern.delay.flatten_first=0 codebooks_pattern.delay.empty_initial=0 fuser.sum={} "
            "fuser.prepend fuser.cross fuser.input_interpolate={} fuser.cross_attention_pos_emb=false "
            "conditioners.description.model=t5 conditioners.description.t5.finetune=false "
            "conditioners.description.t5.normalize_text=false conditioners.self_wav.model=chroma_stem|style "
            "conditioners.self_wav.style.model_name=mert "
            "conditioners.self_wav.chroma_stem.radix2_exp=14 conditioners.self_wav.chroma_stem.argmax=true "
            "interleave_stereo_codebooks.per_timestep=false",
            "transformer_lm.positional_scale=1 transformer_lm.max_period=10000 "
            "transformer_lm.two_step_cfg=false "
            "tokens.padding_with_special_token=false "
            "conditioners.description.t5.autocast_dtype=null|float32",
            XP_TRAINING
            "attribute_dropout.* classifier_free_guidance.training_dropout codebooks_pattern.unroll.* "
            "codebooks_pattern.music_lm.* codebooks_pattern.coarse_first.* codebooks_pattern.parallel.* "
            "codebooks_pattern.valle.* compression_model_checkpoint compression_model_label "
            "conditioners.args.* "
            "conditioners.description.t5.word_dropout conditioners.description.t5.device "
            "conditioners.self_wav.chroma_stem.sample_rate "
            "conditioners.self_wav.chroma_stem.match_len_on_eval "
            "conditioners.self_wav.chroma_stem.eval_wavs conditioners.self_wav.chroma_stem.n_eval_wavs "
            "conditioners.self_wav.chroma_stem.cache_path conditioners.self_wav.chroma_stem.device "
            "conditioners.self_wav.style.sample_rate conditioners.self_wav.style.encodec_checkpoint "
            "conditioners.self_wav.style.encodec_n_q conditioners.self_wav.style.q_dropout "
            "conditioners.self_wav.style.bins conditioners.self_wav.style.varying_lengths "
            "conditioners.self_wav.style.compute_mask conditioners.self_wav.style.num_codebooks_lm "
            "conditioners.self_wav.style.ds_rate_compression "
            "conditioners.self_wav.style.use_middle_of_segment "
            "conditioners.self_wav.style.rvq_threshold_ema_dead_code conditioners.self_wav.style.device "
            "dataset.* fuser.cross_attention_pos_emb_scale "
            "transformer_lm.custom transformer_lm.dropout transformer_lm.emb_lr "
            "transformer_lm.memory_efficient "
            "transformer_lm.attention_as_float32 transformer_lm.checkpointing transformer_lm.weight_init "
            "transformer_lm.depthwise_init transformer_lm.zero_bias_init transformer_lm.cross_attention "
            "transformer_lm.attention_dropout transformer_lm.device transformer_lm.dtype "
            "transformer_lm.subcodes_context transformer_lm.compute_attention_mask",
        },
    [MG_KEYS_XP_CODEC] =
        {
            "xp.cfg of compression_state_dict.bin",
            "encodec.sample_rate seanet.n_filters seanet.dimension rvq.bins rvq.n_q seanet.n_residual_layers "
            "seanet.kernel_size seanet.last_kernel_size seanet.residual_kernel_size seanet.dilation_base "
            "seanet.compress seanet.lstm seanet.ratios seanet.pad_mode",
            "compression_model=encodec encodec.autoencoder=seanet encodec.quantizer=rvq encodec.channels=1 "
            "encodec.causal=false encodec.renormalize=false seanet.channels=1 seanet.causal=false "
            "seanet.activation=ELU seanet.activation_params.alpha=1.0 seanet.norm=weight_norm "
            "seanet.true_skip=true "
            "seanet.disable_norm_outer_blocks=0 seanet.encoder={} seanet.decoder.final_activation=null",
            "seanet.norm_params={}|null seanet.decoder.final_activation_params={}|null",
            XP_TRAINING
            "channels sample_rate dataset.* no_quant.* seanet.decoder.trim_right_ratio rvq.q_dropout "
            "rvq.decay rvq.kmeans_init rvq.kmeans_iters rvq.threshold_ema_dead_code "
            "rvq.orthogonal_reg_weight "
            "rvq.orthogonal_reg_active_codes_only rvq.orthogonal_reg_max_codes rvq.dimension "
            "evaluate.metrics.*",
        },
};

const mg_keys_list *mg_config_keys_of(mg_keys_file file)
{
    return &lists[file];
}
