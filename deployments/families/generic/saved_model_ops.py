"""The operations of TensorFlow that a network needs to answer: pure data.

They compute in memory. What is not here is refused by name, above all whatever reads or writes files (ReadFile,
WriteFile, MatchingFiles, PrintV2 with a file, debug nodes, tables from files, datasets), calls Python (PyFunc),
or reaches other machines. TensorFlow's own mark `stateful` does not tell: ReadFile bears none.
"""

_ARITHMETIC = """
    Abs Acos Acosh Add AddN AddV2 All Any ArgMax ArgMin Asin Asinh Atan Atan2 Atanh BatchMatMul BatchMatMulV2
    BatchMatMulV3 Bincount BitwiseAnd BitwiseOr BitwiseXor Cast Ceil ClipByValue Cos Cosh Cross Cumprod Cumsum
    CumulativeLogsumexp DenseBincount Div DivNoNan Einsum Equal Erf Erfc Erfinv EuclideanNorm Exp Expm1 Floor FloorDiv
    FloorMod Greater GreaterEqual Inv Invert IsFinite IsInf IsNan LeftShift Less LessEqual LinSpace Log Log1p
    LogicalAnd LogicalNot LogicalOr MatMul Max Maximum Mean Min Minimum Mod Mul MulNoNan Neg NextAfter NotEqual Pow
    Prod Range RealDiv Reciprocal RightShift Rint Round Rsqrt Sigmoid Sign Sin Sinh Sqrt Square SquaredDifference Sub
    Sum Tan Tanh TruncateDiv TruncateMod Xdivy Xlog1py Xlogy
    SegmentMax SegmentMean SegmentMin SegmentProd SegmentSum UnsortedSegmentMax UnsortedSegmentMin
    UnsortedSegmentProd UnsortedSegmentSum
"""
_ARRAYS = """
    BatchToSpaceND BroadcastArgs BroadcastGradientArgs BroadcastTo Concat ConcatOffset ConcatV2 Const DepthToSpace
    Diag DiagPart DynamicPartition DynamicStitch Empty EnsureShape ExpandDims Fill Gather GatherNd GatherV2 Identity
    IdentityN InvertPermutation ListDiff LowerBound MatrixBandPart MatrixDiag MatrixDiagPart MatrixDiagPartV2
    MatrixDiagPartV3 MatrixDiagV2 MatrixDiagV3 MatrixSetDiag MatrixSetDiagV2 MatrixSetDiagV3 MirrorPad OneHot OnesLike
    Pack Pad PadV2 ParallelConcat ParallelDynamicStitch PreventGradient Rank Reshape Reverse ReverseSequence ReverseV2
    Roll ScatterNd Select SelectV2 Shape ShapeN Size Slice Snapshot SpaceToBatchND SpaceToDepth Split SplitV Squeeze
    StopGradient StridedSlice TensorScatterAdd TensorScatterMax TensorScatterMin TensorScatterSub
    TensorScatterUpdate TensorStridedSliceUpdate Tile Transpose Unique UniqueV2 Unpack UnravelIndex UpperBound Where
    ZerosLike
"""
_NETWORKS = """
    AvgPool AvgPool3D BiasAdd BiasAddV1 Conv Conv2D Conv2DBackpropInput Conv2DBackpropInputV2 Conv3D
    Conv3DBackpropInputV2 DepthwiseConv2dNative Dilation2D Elu ExtractImagePatches FusedBatchNorm FusedBatchNormV2
    FusedBatchNormV3 InTopK InTopKV2 L2Loss LRN LeakyRelu LogSoftmax MaxPool MaxPool3D MaxPoolV2 MaxPoolWithArgmax
    NthElement Relu Relu6 Selu Softmax Softplus Softsign TopK TopKV2
    FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel QuantizeAndDequantizeV2
    QuantizeAndDequantizeV3 QuantizeAndDequantizeV4
"""
_GRADIENTS = """
    AvgPoolGrad BiasAddGrad EluGrad FusedBatchNormGradV3 LeakyReluGrad MaxPoolGrad Relu6Grad ReluGrad RsqrtGrad
    SeluGrad SigmoidGrad SoftplusGrad SoftsignGrad SqrtGrad TanhGrad
"""
_IMAGES = """
    AdjustContrastv2 AdjustHue AdjustSaturation CombinedNonMaxSuppression CropAndResize HSVToRGB
    ImageProjectiveTransformV2 ImageProjectiveTransformV3 NonMaxSuppression NonMaxSuppressionV2 NonMaxSuppressionV3
    NonMaxSuppressionV4 NonMaxSuppressionV5 NonMaxSuppressionWithOverlaps RGBToHSV ResizeArea ResizeBicubic
    ResizeBilinear ResizeNearestNeighbor ScaleAndTranslate
"""
_FLOW = """
    Assert Case CheckNumerics CheckNumericsV2 Enter Exit FakeParam If LoopCond Merge NextIteration NoOp
    PartitionedCall Placeholder PlaceholderV2 PlaceholderWithDefault StatefulPartitionedCall StatelessCase StatelessIf
    StatelessWhile Switch While
    EmptyTensorList TensorListConcat TensorListConcatLists TensorListConcatV2 TensorListElementShape
    TensorListFromTensor TensorListGather TensorListGetItem TensorListLength TensorListPopBack TensorListPushBack
    TensorListReserve TensorListResize TensorListScatter TensorListScatterIntoExistingList TensorListScatterV2
    TensorListSetItem TensorListSplit TensorListStack
    TensorArrayV3 TensorArrayCloseV3 TensorArrayConcatV3 TensorArrayGatherV3 TensorArrayReadV3 TensorArrayScatterV3
    TensorArraySizeV3 TensorArraySplitV3 TensorArrayWriteV3
"""
_VARIABLES = """
    AssignVariableOp DisableCopyOnRead ReadVariableOp ResourceGather ResourceGatherNd VarHandleOp VarIsInitializedOp
    VariableShape
"""
_RANDOM = """
    Multinomial RandomShuffle RandomStandardNormal RandomUniform RandomUniformInt StatelessRandomGetAlg
    StatelessRandomGetKeyCounter StatelessRandomGetKeyCounterAlg StatelessRandomNormal StatelessRandomNormalV2
    StatelessRandomUniform StatelessRandomUniformV2 StatelessTruncatedNormalV2 TruncatedNormal
"""

INFERENCE_OPS = frozenset(
    " ".join((_ARITHMETIC, _ARRAYS, _NETWORKS, _GRADIENTS, _IMAGES, _FLOW, _VARIABLES, _RANDOM)).split()
)
"""What the functions of a SavedModel may consist of."""

SAVER_OPS = frozenset(
    {"MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename", "StaticRegexFullMatch", "StringJoin"}
)
"""What the two functions that TensorFlow adds for saving and restoring consist of, besides those above. They
name files, so that nothing may call these functions; TensorFlow reads the variables without them."""
